"""Fields of stars drawn without the project's simulation: a Gaussian clump of red stars over a uniform field."""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

STARS, NEIGHBOURS = 60, 6


def mock_fields(n: int, seed: int = 0) -> dict[str, Tensor]:
    """A split of n fields, at the contract of the data module."""
    rng = np.random.default_rng(seed)
    found = [mock_field(rng) for _ in range(n)]
    return {name: torch.from_numpy(np.stack([field[name] for field in found])).float() for name in found[0]}


def mock_field(rng: np.random.Generator) -> dict[str, np.ndarray]:
    member = rng.permutation(np.arange(STARS) < rng.integers(12, 30)).astype(float)
    centre, width = rng.uniform(-2, 2, 2), rng.uniform(0.5, 1.2)
    position = np.where(
        member[:, None] > 0, centre + width * rng.standard_normal((STARS, 2)), rng.uniform(-5, 5, (STARS, 2))
    )
    magnitude = rng.uniform(14, 21, STARS)
    sequence = 0.5 + 0.12 * (magnitude - 14) + 0.03 * rng.standard_normal(STARS)
    colour = np.where(member > 0, sequence, rng.uniform(0.2, 1.8, STARS))
    eigenvalues, basis = np.linalg.eigh(normalised_laplacian(position))
    signal = np.stack([magnitude, colour], -1)
    return {"position": position, "signal": signal, "member": member, "eigenvalues": eigenvalues, "basis": basis}


def weights(position: np.ndarray) -> np.ndarray:
    """Of the edges between nearest neighbours, both ways."""
    distance, neighbour = map(np.asarray, cKDTree(position).query(position, NEIGHBOURS + 1))
    matrix = np.zeros((STARS, STARS))
    np.put_along_axis(matrix, neighbour[:, 1:], np.exp(-((distance[:, 1:] / distance[:, 1:].mean()) ** 2)), 1)
    return np.maximum(matrix, matrix.T)


def normalised_laplacian(position: np.ndarray) -> np.ndarray:
    matrix = weights(position)
    root = matrix.sum(1) ** -0.5
    return np.eye(STARS) - root[:, None] * matrix * root
