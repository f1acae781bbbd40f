"""Recognises your own picture, and grows artificial ones from it."""

from pathlib import Path

import torch

from lit_modules.boltzmann import LitRBM
from lit_modules.networks.boltzmann.pixels import stretch
from pipeline.evaluation.common.panels import picture_rows
from pipeline.evaluation.common.pictures import rms, tiles
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.inputs.own_picture import read_grey

SWEEPS = (1, 10, 100)  # of the Gibbs chains that grow pictures


@torch.no_grad()
def predict(models: list[LitRBM], path: Path) -> Result:
    """Free energy and reconstruction of one picture, and artificial pictures grown from it.

    Raises:
        InputError: the file is no picture that can be read.
    """
    [model] = models
    torch.manual_seed(0)  # the same picture gets the same answer
    picture, warnings = read_grey(path, model.settings.size, padded=bool(model.padded), white=int(model.white))
    grey = stretch(picture.to(model.device))
    reconstructed = model.reconstruct(grey)
    metrics = {
        "free_energy_nats": float(model.net.free_energy(grey.expand(100, -1).bernoulli()).mean()),
        "reconstruction_rms": rms(reconstructed, grey),
        "warnings": warnings,
    }
    grown = [model.net.grow(grey[None], sweeps) for sweeps in SWEEPS]
    row = torch.cat([grey, reconstructed, *grown, grown[-1].bernoulli()]).cpu()
    headings = ["original", "reconstructed", *(f"sweep {sweeps}" for sweeps in SWEEPS), "as stars"]
    with style():
        figure = picture_rows(
            {"": tiles(row, model.settings.size)}, f"{path.name} and pictures grown from it", headings
        )
    caption = (
        "The picture as the machine sees it, its reconstruction, and artificial ones grown from it by Gibbs sweeps."
    )
    return Result(metrics, [Picture("grown", caption, figure)])
