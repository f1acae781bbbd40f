"""Recognises your own picture, and grows artificial ones from it, from several, or from noise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from astropy.io import fits
from matplotlib.figure import Figure
from torch import Tensor

from lit_modules.boltzmann import LitRBM
from lit_modules.networks.boltzmann.machine import independent_pixels
from lit_modules.networks.boltzmann.pixels import drawn, stretch
from pipeline.errors import InputError
from pipeline.evaluation.common.panels import WIDTH, bare, mosaic
from pipeline.evaluation.common.pictures import rms
from pipeline.evaluation.common.result import Animation, Picture, Result, style
from pipeline.evaluation.common.two_sample import Array, nearest
from pipeline.evaluation.rbm.figures import rows_of, squares
from pipeline.evaluation.rbm.film import SECONDS, chain_frames
from pipeline.inputs.own_picture import read_grey, refuse_single_grey
from pipeline.inputs.pictures import SUFFIXES

COLUMNS = 6  # artificial pictures in a row
SHOWN, FILMED = 60, 12  # of them at most
DRAWS = 100  # of the bits of an original of one bit a pixel, over which its free energy is averaged
LEAST_DPI = 110


@torch.no_grad()
def predict(
    models: list[LitRBM], path: Path, *, samples: int, sweeps: int, noise: bool = False, parents: Sequence[Path] = ()
) -> Result:
    """Artificial pictures, and free energy and reconstruction of the original that they grew from.

    Args:
        models: the machine.
        path: the original; of ``noise``, the weights.
        samples: artificial pictures.
        sweeps: of the Gibbs chain behind each.
        noise: chains begin as independent pixels, and no picture is read.
        parents: further originals; each hidden unit inherits its state from one of all.

    Raises:
        InputError: a file is no picture that can be read, or there is one beside ``noise``.
    """
    [model] = models
    if noise and (parents or path.name.lower().endswith(SUFFIXES)):
        raise InputError(f"{[*parents, path][0]} beside --noise, which needs no picture; leave out either")
    torch.manual_seed(0)  # the same picture gets the same answer
    if noise:
        start, metrics, pictures, origin = independent_pixels(model.net, samples), {}, [], "noise"
    else:
        images, warnings = read(model, [path, *parents])
        grey = stretch(images)
        start = children(model, grey, samples)
        metrics = recognised(model, grey[:1]) | {"warnings": warnings}
        pictures = [recognition(model, grey)]
        origin = path.name if len(grey) == 1 else f"{path.name} and {len(grey) - 1} more"
    frames, bits = chain_frames(model.net, start, sweeps, min(COLUMNS, samples), FILMED)
    artificial = model.net.grey(bits)
    metrics = {
        "sample_free_energy_nats": float(model.net.free_energy(bits).mean()),
        **({} if noise else {"original_rms": float(nearest(artificial.cpu().numpy(), grey.cpu().numpy())[1].mean())}),
        **metrics,
    }
    with style():
        after = f"{sweeps} Gibbs sweep{'' if sweeps == 1 else 's'} from {origin}"
        which = f" The first {SHOWN} of {samples}; the FITS cube holds all." if samples > SHOWN else ""
        caption = f"Artificial pictures after {after}.{which}"
        pictures.append(Picture("artificial", caption, mosaic_figure(squares(artificial[:SHOWN]))))
    film = Animation("chain", "The Gibbs chains as they run, faster and faster.", frames, SECONDS)
    cube = fits.HDUList([fits.PrimaryHDU(squares(artificial)[:, ::-1].astype(np.float32))])
    return Result(metrics, pictures, hdus={"artificial": cube}, animations=[film])


def read(model: LitRBM, paths: Sequence[Path]) -> tuple[Tensor, list[str]]:
    """Pictures, (n, 1, size, size), as the machine was trained on; and what is doubtful about their white.

    Raises:
        InputError: a file cannot be read as a picture, or has a single grey.
    """
    padded, white = bool(model.padded), int(model.white)
    found = [read_grey(path, model.settings.size, padded=padded, white=white) for path in paths]
    for path, (picture, _) in zip(paths, found, strict=True):
        refuse_single_grey(path, picture)
    warnings = [warning for _, doubts in found for warning in doubts]
    return torch.cat([picture for picture, _ in found]).to(model.device), warnings


def children(model: LitRBM, grey: Tensor, n: int) -> Tensor:
    """Bits that chains start from: those of the one original, or of children whose hidden units inherit from several.

    Shapes:
        stretched, (originals, pixels) -> (n, levels * pixels).
    """
    bits = drawn(grey[:, None].expand(-1, n, -1).flatten(0, 1), model.net.levels).unflatten(0, (-1, n))
    return bits[0] if len(grey) == 1 else model.net.draw(model.net.grow(bits, 1))


def recognised(model: LitRBM, grey: Tensor) -> dict[str, Any]:
    """What the machine thinks of a stretched picture, (1, pixels), in numbers."""
    bits = drawn(grey.expand(DRAWS if model.net.levels == 1 else 1, -1), model.net.levels)
    return {
        "free_energy_nats": float(model.net.free_energy(bits).mean()),
        "reconstruction_rms": rms(model.reconstruct(grey), grey),
    }


def recognition(model: LitRBM, grey: Tensor) -> Picture:
    """Originals through the hidden layer and back."""
    with style():
        figure = rows_of({"original": grey, "reconstructed": model.reconstruct(grey)}, "As the machine sees it")
    return Picture("recognised", "As the machine sees it, and through its hidden units and back.", figure)


def mosaic_figure(pictures: Array) -> Figure:
    """Pictures (n, size, size) in rows, each pixel large enough to be seen."""
    columns = min(COLUMNS, len(pictures))
    picture = mosaic(pictures, columns, gap=max(1, pictures.shape[1] // 25))
    width = WIDTH * columns / COLUMNS
    shape = (max(width, WIDTH / 2), width * picture.shape[0] / picture.shape[1] + 0.4)
    figure, axis = plt.subplots(figsize=shape, dpi=max(LEAST_DPI, picture.shape[1] / width))
    axis.imshow(picture, vmin=0, vmax=1)
    axis.set_title("Artificial pictures")
    bare(axis)
    return figure
