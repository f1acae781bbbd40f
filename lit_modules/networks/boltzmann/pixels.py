"""From grey pictures to the units of a Boltzmann machine."""

import torch
from torch import Tensor

SKY, PEAK = 0.1, 0.995  # quantiles of a picture's pixels that become 0 and 1
SOFTENING = 0.1  # of the asinh: fainter intensities are shown linearly, brighter ones logarithmically


def stretch(images: Tensor) -> Tensor:
    """Stretch the contrast of each picture by itself: the probability that a pixel is lit.

    x = (intensity - sky) / (peak - sky), cut to [0, 1], then asinh(x / a) / asinh(1 / a), which
    shows a faint halo beside a bright core (Lupton, Gunn & Szalay 1999).

    Shapes:
        (pictures, 1, height, width) -> (pictures, height * width), both in [0, 1].
    """
    pixels = images.flatten(1)
    sky, peak = torch.quantile(pixels, pixels.new_tensor([SKY, PEAK]), dim=1, keepdim=True)
    scaled = ((pixels - sky) / (peak - sky).clamp_min(1 / 255)).clamp(0, 1)
    return torch.asinh(scaled / SOFTENING) / torch.asinh(pixels.new_tensor(1 / SOFTENING))


def chances(grey: Tensor, levels: int) -> Tensor:
    """Chance of each bit of stretched pictures to be lit; (pictures, pixels) -> (pictures, levels * pixels).

    That of a single bit is the grey g itself. Of several bits t_l = [g > (l - ½) / levels] the chance is 0 or 1: g is
    rounded, for the noise of dithering would hide that a star covers several pixels.
    """
    if levels == 1:
        return grey
    half_way = (torch.arange(levels, device=grey.device)[:, None] + 0.5) / levels
    return isophotes(grey[:, None], half_way.to(grey)).flatten(1)


def drawn(grey: Tensor, levels: int) -> Tensor:
    """Bits by their ``chances``: a single one is drawn anew at each call; as ``chances``."""
    chance = chances(grey, levels)
    return (torch.rand_like(chance) < chance).to(chance) if levels == 1 else chance


def mean_bits(bits: Tensor, levels: int) -> Tensor:
    """Mean of the bits over pictures and one more in which all states are equally likely.

    Args:
        bits: of pictures, or their chances to be lit, (n, levels * pixels).
        levels: L, bits of a pixel.

    Returns:
        Shape (levels, pixels), inside (0, 1) and falling with the level.
    """
    uniform = 1 - torch.arange(1, levels + 1, device=bits.device)[:, None] / (levels + 1)
    return (bits.sum(0).view(levels, -1) + uniform) / (len(bits) + 1)


def isophotes(probabilities: Tensor, levels: Tensor) -> Tensor:
    """Binary pictures of all that is brighter than a level.

    The mean over levels spread evenly in (0, 1) is the grey picture itself. Unlike pixels drawn
    one by one, an isophote keeps its shape.

    Shapes:
        (..., pixels), levels (..., 1) -> (..., pixels).
    """
    return (probabilities > levels).to(probabilities.dtype)
