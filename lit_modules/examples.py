"""Plain pictures for the tracker, made of tensors: rows of tiles, points and tracks on a grid."""

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = 0.5  # of the lines between tiles


def tiles(*rows: Tensor) -> Tensor:
    """Rows of pictures, (n, 1 or 3, height, width) each, as one picture with a line of a pixel between them.

    Returns:
        Shape (1 or 3, rows * (height + 1) - 1, n * (width + 1) - 1); a row of fewer pictures ends in grey.
    """
    framed = [torch.cat(list(F.pad(row, (0, 1, 0, 1), value=GREY)), -1) for row in rows]
    width = max(row.shape[-1] for row in framed)
    return torch.cat([F.pad(row, (0, width - row.shape[-1]), value=GREY) for row in framed], -2)[..., :-1, :-1]


def stretched(images: Tensor, like: Tensor | None = None) -> Tensor:
    """Each of the images (n, 1, height, width) from black to white over its own range, or that of its like."""
    like = images if like is None else like
    low, high = like.amin((-2, -1), keepdim=True), like.amax((-2, -1), keepdim=True)
    return ((images - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)


def upright(grid: Tensor) -> Tensor:
    """Values over a plane, (..., x, y), as a picture, (..., height, width), with y upwards."""
    return grid.mT.flip(-2)


def splat(points: Tensor, side: int, brightness: Tensor | float = 1.0) -> Tensor:
    """Points (n, 2) of the square [-1, 1]² as bright pixels, the brightest where several fall; those outside are lost.

    Args:
        points: x and y.
        side: pixels of a side.
        brightness: of each point, (n,), or of all.

    Returns:
        Shape (side, side), y upwards.
    """
    points = points.detach().float().cpu()
    values = torch.as_tensor(brightness).float().cpu().expand(len(points))
    inside = (points.abs() < 1).all(-1)  # False where a point is not finite
    column, row = ((points[inside] + 1) / 2 * side).long().unbind(-1)
    grid = torch.zeros(side * side).scatter_reduce(0, column * side + row, values[inside], "amax")
    return upright(grid.view(side, side))


def smooth(position: Tensor, motion: Tensor, fine: int = 400) -> Tensor:
    """Cubic Hermite curves through positions at times, both (times, n, 2), ((times - 1) * fine, n, 2).

    Args:
        position: at each time.
        motion: velocity times the step between times.
        fine: points of a step.
    """
    t = torch.linspace(0, 1, fine).to(position)[:, None, None, None]
    start, end = position[:-1], position[1:]
    blend = t**2 * (3 - 2 * t)
    curves = start + blend * (end - start) + t * (1 - t) * ((1 - t) * motion[:-1] - t * motion[1:])
    return curves.transpose(0, 1).flatten(0, 1)


def tracks(paths: Tensor, side: int) -> Tensor:
    """Paths (times, n, 2) through the square [-1, 1]², dense in time, as lines brighter with time, (side, side)."""
    times, n, _ = paths.shape
    grid = splat(paths.flatten(0, 1), side, torch.linspace(0.3, 1.0, times).repeat_interleave(n))
    return thick(grid)


def thick(grid: Tensor) -> Tensor:
    """Each bright pixel of (height, width) as a square of three."""
    return F.max_pool2d(grid[None], 3, 1, 1)[0]


def against(truth: Tensor, read: Tensor, side: int = 160) -> Tensor:
    """What was read over the truth, (n,) each, as dots about a grey diagonal, (1, side, side); axes fit the truth."""
    low, high = truth.min(), truth.max()
    middle, half = (low + high) / 2, 0.6 * (high - low).clamp_min(1e-12)
    dots = splat((torch.stack([truth, read], -1) - middle) / half, side)
    return torch.maximum(thick(dots), upright(0.4 * torch.eye(side)))[None]
