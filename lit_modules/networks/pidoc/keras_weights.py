"""The published weights of π-DOC, Keras HDF5 files, read into the same graphs in PyTorch.

The files and their standardisation constants are those of github.com/paolobianchini87/piDOC.
Mean errors on the authors' own mocks (Chardin & Bianchini 2021, abstract: 27 % of a pixel's mass,
12 % of the global M/L, 6 kpc, 1.5 Gyr) stand in for an uncertainty, which those networks lack.
"""

import math
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lit_modules.networks.pidoc.cnn import AgeDistanceCNN
from lit_modules.networks.pidoc.encoder_decoder import EncoderDecoder
from lit_modules.networks.pidoc.settings import AgeDistanceSettings, MassSettings

LOG_FLUX = (-5.3818855, 0.97016734)  # mean and standard deviation of the training maps, log10 Lsun kpc⁻²
LOG_MASS = (-0.8509903, 0.44931927)  # log10 Msun per pixel
DISTANCE_AND_AGE = (29.628756, 32.401917)  # kpc and Gyr pooled
SIGMA_PER_MEAN_ERROR = math.sqrt(math.pi / 2)  # of a Gaussian


def published_network(path: str | Path) -> EncoderDecoder | AgeDistanceCNN:
    """The authors' network of a weights file (CED_200.h5 or CNN_100.h5), told apart by its first kernel.

    Raises:
        ValueError: the file holds no Keras weights, or those of another graph.
        OSError: the file cannot be opened.
    """
    layers = read_layers(path)
    network: EncoderDecoder | AgeDistanceCNN
    if layers[0][0].shape[:2] == (3, 3):
        network = EncoderDecoder(MassSettings.model_construct(width=1.0))
    else:
        network = AgeDistanceCNN(AgeDistanceSettings.model_construct(width=1.0))
    copy_layers(network, layers)
    network.flux_mean.fill_(LOG_FLUX[0])
    network.flux_std.fill_(LOG_FLUX[1])
    if isinstance(network, EncoderDecoder):
        network.mass_mean.fill_(LOG_MASS[0])
        network.mass_std.fill_(LOG_MASS[1])
    else:
        network.targets.mean.fill_(DISTANCE_AND_AGE[0])
        network.targets.std.fill_(DISTANCE_AND_AGE[1])
    return network.eval()


def published_sigma(network: EncoderDecoder | AgeDistanceCNN) -> Tensor:
    """What the σ of both quantities of the authors' network must be multiplied by to match their mean errors, (2,)."""
    if isinstance(network, EncoderDecoder):
        errors = torch.log10(torch.tensor([1.27, 1.12])) / torch.stack([network.mass_std, network.field_std])
    else:
        errors = torch.tensor([6.0, 1.5]) / network.targets.std
    return SIGMA_PER_MEAN_ERROR * errors


def read_layers(path: str | Path) -> list[list[NDArray[np.float32]]]:
    """Arrays of every layer that has weights, in the order of the Keras graph.

    Raises:
        ValueError: the file holds no Keras weights.
        OSError: the file cannot be opened.
    """
    with h5py.File(path) as file:
        try:
            groups = [file[name] for name in file.attrs["layer_names"]]
            layers = [[group[name][()] for name in group.attrs["weight_names"]] for group in groups]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("no weights as Keras 2 saves them") from error
    layers = [arrays for arrays in layers if arrays]
    if not layers:
        raise ValueError("no layer with weights")
    return layers


def copy_layers(network: nn.Module, layers: list[list[NDArray[np.float32]]]) -> None:
    """Copy Keras arrays into the convolutions, dense layers and normalisations of a network, in order.

    Kernels (height, width, in, out) become (out, in, height, width); normalisations hold gamma,
    beta, mean and variance.

    Raises:
        ValueError: the number of layers or the shape of an array differs.
    """
    targets = [
        _tensors(layer)
        for layer in network.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.BatchNorm1d))
    ]
    if len(targets) != len(layers):
        raise ValueError(f"{len(layers)} layers with weights where the published graph has {len(targets)}")
    for number, (tensors, arrays) in enumerate(zip(targets, layers, strict=True), start=1):
        values = [torch.from_numpy(np.ascontiguousarray(_to_torch(array))) for array in arrays]
        if [tensor.shape for tensor in tensors] != [value.shape for value in values]:
            shapes = [array.shape for array in arrays]
            raise ValueError(f"layer {number} has arrays of shapes {shapes}, other than in the published graph")
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)


def _tensors(layer: nn.Module) -> list[Tensor]:
    names = ["weight", "bias"]
    if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
        names += ["running_mean", "running_var"]
    return [getattr(layer, name) for name in names]


def _to_torch(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
