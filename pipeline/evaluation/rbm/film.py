"""The Gibbs chain as it runs, as moving pictures."""

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from pipeline.evaluation.common.panels import mosaic
from pipeline.evaluation.common.two_sample import Array
from pipeline.evaluation.rbm.figures import squares

FRAMES, SECONDS = 24, 0.25  # at most so many, and how long each stays
TILE, CAPTION = 128, 20  # pixels of a side of a picture, and of the line above all


def sweeps_shown(last: int) -> list[int]:
    """Sweeps at which a frame is shown, 0 first: every one in the beginning, ever fewer towards the last."""
    return np.unique(np.geomspace(1, last + 1, FRAMES).round().astype(int) - 1).tolist()


def chain_frames(
    net: RestrictedBoltzmannMachine, start: Tensor, sweeps: int, columns: int, shown: int
) -> tuple[list[Image.Image], Tensor]:
    """Frames of chains that run side by side, and the bits where they end.

    Args:
        net: the machine.
        start: bits of each chain, (chains, levels * pixels).
        sweeps: of each chain.
        columns: chains in a row.
        shown: of the chains, at most.
    """
    bits, frames, done = start, [], 0
    for sweep in sweeps_shown(sweeps):
        bits, done = net.gibbs(bits, sweep - done), sweep
        frames.append(frame(squares(net.grey(bits[:shown])), sweep, columns))
    return frames, bits


def frame(pictures: Array, sweep: int, columns: int) -> Image.Image:
    """Pictures (n, size, size) side by side under the number of the sweep."""
    size = pictures.shape[-1]
    image = Image.fromarray(np.uint8(255 * mosaic(pictures, columns) + 0.5)).reduce(-(-size // TILE))
    larger = max(1, TILE // size)
    image = image.resize((larger * image.width, larger * image.height), Image.Resampling.NEAREST)
    captioned = ImageOps.expand(image, (0, CAPTION, 0, 0), 255)
    ImageDraw.Draw(captioned).text((4, 2), f"sweep {sweep}", fill=0, font_size=CAPTION - 6)
    return captioned
