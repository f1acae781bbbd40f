"""Pictures as rows of pixels: shown as squares, and compared."""

from torch import Tensor


def tiles(pixels: Tensor, size: int) -> Tensor:
    """The first size² units of each row as a picture, (n, units) -> (n, size, size)."""
    return pixels[:, : size * size].reshape(-1, size, size)


def rms(answer: Tensor, truth: Tensor) -> Tensor:
    """Root of the mean squared error of intensities in [0, 1], over all pixels."""
    return (answer - truth).square().mean().sqrt()
