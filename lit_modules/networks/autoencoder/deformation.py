"""Random deformations of pictures: what makes a few dozen of them enough to learn from."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_modules.networks.autoencoder.settings import AutoencoderSettings

NODES = 5  # a side, of the grid that bends a picture


def draw_deformations(
    strengths: AutoencoderSettings, n: int, side: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw rotation, stretch, shift, smooth warp (Simard et al. 2003) and contrast, each ± uniform of its strength.

    The warp is that of the nodes of a coarse grid, interpolated bicubically.

    Returns:
        Where n pictures are sampled, (n, side, side, 2), and their power and factor, (n, 2).
    """

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    angle = strengths.rotation * uniform(n)
    stretch = 1 + strengths.scale * uniform(n, 2)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(n, 2, 2)
    affine = torch.cat([stretch[:, :, None] * turn, strengths.shift * uniform(n, 2, 1)], dim=-1)
    warp = strengths.warp * uniform(n, 2, NODES**2)
    grids = torch.cat([affine, warp], dim=-1) @ _basis(side)
    return grids.mT.unflatten(1, (side, side)), torch.exp(strengths.contrast * uniform(n, 2) * torch.tensor([1.0, 0.5]))


@cache
def _basis(side: int) -> Tensor:
    """What a place is the sum of at each pixel, (3 + NODES², side²): x, y, 1, and the cubic bump of each node."""
    places = F.affine_grid(torch.eye(2, 3)[None], [1, 1, side, side], align_corners=False).flatten(0, 2)
    nodes = torch.eye(NODES**2).view(-1, 1, NODES, NODES)
    bumps = F.interpolate(nodes, (side, side), mode="bicubic", align_corners=True)
    return torch.cat([places.T, torch.ones(1, side**2), bumps.flatten(1)])


def deform(images: Tensor, grids: Tensor, tones: Tensor) -> Tensor:
    """Pictures (n, 1, side, side) in [0, 1], sampled at ``grids``, their grey levels g become factor · g^power."""
    power, factor = tones[:, :, None, None, None].unbind(dim=1)
    moved = F.grid_sample(images, grids, padding_mode="border", align_corners=False)
    return (factor * moved.clamp(min=0) ** power).clamp(0, 1)
