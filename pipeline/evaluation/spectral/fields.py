"""Held-out fields of stars with what the network and its rivals say of them, as arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
THRESHOLD = 0.5  # probability from which a star is called a member
LEAST = 1e-6  # probability of either answer, where its logarithm is taken


class Fields(NamedTuple):
    """Fields of n stars each.

    Attributes:
        position: x and y (arcmin), (fields, n, 2).
        magnitude: V above that of the faintest star of the field (mag), (fields, n).
        colour: B - V (mag), (fields, n).
        member: 1 of a star of the cluster, else 0, (fields, n).
        eigenvalues, basis: of the normalised Laplacian of each field, (fields, n) and (fields, n, n).
        probability: of membership, (fields, n) by ``model`` and by each rival.
    """

    position: Array
    magnitude: Array
    colour: Array
    member: Array
    eigenvalues: Array
    basis: Array
    probability: dict[str, Array]


def arrays(split: dict[str, Tensor]) -> dict[str, Array]:
    """The tensors of a split in double precision."""
    return {name: tensor.double().cpu().numpy() for name, tensor in split.items()}


def adjacency(eigenvalues: Array, basis: Array) -> Array:
    """A of connected graphs, up to a factor, (..., n, n).

    D^(-1/2) A D^(-1/2) = Φ (1 - Λ) Φᵀ, and the eigenvector of eigenvalue 0 is proportional to the roots of the degrees.
    """
    scaled = (basis * (1 - eigenvalues[..., None, :])) @ np.swapaxes(basis, -1, -2)
    root = basis[..., 0]
    return root[..., :, None] * scaled * root[..., None, :]
