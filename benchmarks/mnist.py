"""Handwritten digits, read from the folder of real data."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import InputError


def read_mnist(quick: bool) -> tuple[Tensor, Tensor]:
    """Pictures of training and test, (pictures, 784), grey levels from 0 to 1.

    Args:
        quick: the first 2000 of the 60 000 training pictures alone.

    Raises:
        InputError: STAR_CLUSTER_DATA is not set, or holds no mnist/mnist.npz.
    """
    path = Path(os.environ.get("STAR_CLUSTER_DATA", "")) / "mnist/mnist.npz"
    if not path.is_file():
        raise InputError(f"{path}: no such file; set STAR_CLUSTER_DATA to the folder that holds mnist/mnist.npz")
    with np.load(path) as arrays:
        train, test = (torch.from_numpy(arrays[name]).flatten(1) / 255 for name in ("x_train", "x_test"))
    return train[:2000] if quick else train, test
