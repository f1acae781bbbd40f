"""The Gibbs chain as it runs, as moving pictures."""

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from pipeline.evaluation.common.panels import mosaic
from pipeline.evaluation.rbm.figures import squares

FRAMES, SECONDS = 40, 0.15  # at most so many, and how long each stays
TILE, CAPTION = 128, 16  # pixels of a side of a picture, and of the line above all


def sweeps_shown(last: int) -> list[int]:
    """Sweeps at which a frame is shown, 0 first: every one in the beginning, ever fewer towards the last."""
    return np.unique(np.geomspace(1, last + 1, FRAMES).round().astype(int) - 1).tolist()


def chain_frames(
    net: RestrictedBoltzmannMachine, start: Tensor, sweeps: int, columns: int
) -> tuple[list[Image.Image], Tensor]:
    """Frames of chains that run side by side, and the bits where they end.

    Args:
        net: the machine.
        start: bits of each chain, (chains, levels * pixels).
        sweeps: of each chain.
        columns: chains in a row.
    """
    bits, frames, done = start, [], 0
    for sweep in sweeps_shown(sweeps):
        bits, done = net.gibbs(bits, sweep - done), sweep
        frames.append(frame(net.grey(bits), sweep, columns))
    return frames, bits


def frame(grey: Tensor, sweep: int, columns: int) -> Image.Image:
    """Pictures (n, pixels) side by side under the number of the sweep."""
    pictures = squares(grey)
    grid = mosaic(np.repeat(np.repeat(pictures, times := max(1, TILE // pictures.shape[1]), 1), times, 2), columns, 2)
    image = Image.new("L", (grid.shape[1], grid.shape[0] + CAPTION), 255)
    image.paste(Image.fromarray(np.uint8(255 * grid + 0.5)), (0, CAPTION))
    ImageDraw.Draw(image).text((2, 2), f"sweep {sweep}", fill=0)
    return image
