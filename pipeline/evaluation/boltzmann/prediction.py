"""Recalls the right half of your own picture from its left, or cleans it."""

from pathlib import Path

import torch

from lit_modules.general_boltzmann import LitBoltzmann
from lit_modules.networks.boltzmann.pixels import stretch
from pipeline.evaluation.common.panels import picture_rows
from pipeline.evaluation.common.pictures import rms, tiles
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.inputs.own_picture import read_grey, refuse_single_grey


@torch.no_grad()
def predict(models: list[LitBoltzmann], path: Path, *, clean: float | None = None) -> Result:
    """Recall the right half of one picture from its left, or clean the whole.

    Args:
        models: the machine.
        path: the picture.
        clean: share of its pixels that shows any grey, where it is to be cleaned.

    Raises:
        InputError: the file is no picture that can be read, or has a single grey.
    """
    [model] = models
    torch.manual_seed(0)  # the same picture gets the same answer
    picture, warnings = read_grey(path, model.settings.size, padded=bool(model.padded), white=int(model.white))
    refuse_single_grey(path, picture)
    grey = stretch(picture.to(model.device))
    if clean is None:
        shown, metrics = recalled(model, grey)
        name, title, caption = "recall", "The right half recalled", "the right half recalled from the left."
    else:
        cleaned = model.clean(grey, clean)
        shown, metrics = {"given": grey, "cleaned": cleaned}, {"changed_rms": rms(cleaned, grey)}
        name, title, caption = "cleaned", "Cleaned", f"cleaned, where {100 * clean:.3g} % of the pixels show any grey."
    with style():
        row = tiles(torch.cat(list(shown.values())), model.settings.size).cpu()
        figure = picture_rows({"": row}, title, list(shown))
    return Result({**metrics, "warnings": warnings}, [Picture(name, f"{path.name}: {caption}", figure)])


def recalled(model: LitBoltzmann, grey: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What is shown of a recalled half, and its error."""
    known = model.left_half
    whole = torch.where(known, grey, model.recall(grey, known))
    shown = {"original": grey, "given": torch.where(known, grey, torch.nan), "recalled": whole}
    return shown, {"recall_rms": rms(whole[:, ~known], grey[:, ~known])}
