"""The two graphs against an interpreter of their layer lists, and against the published network itself."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_modules.networks.pidoc.cnn import AgeDistanceCNN
from lit_modules.networks.pidoc.encoder_decoder import EncoderDecoder
from lit_modules.networks.pidoc.keras_weights import LOG_FLUX, LOG_MASS, published_network
from lit_modules.networks.pidoc.mass_map import log_sum
from lit_modules.networks.pidoc.settings import AgeDistanceSettings, MassSettings

Layer = tuple[str, str, dict, list[str]]  # name, kind, settings, names of the inputs


def encoder_decoder_layers() -> list[Layer]:
    """The published mass network as Keras lists it: an independent statement of reference 1.4."""
    layers: list[Layer] = [("x", "InputLayer", {}, [])]

    def unit(filters: int, source: str) -> str:
        n = sum(kind == "Conv2D" for _, kind, _, _ in layers) + 1
        layers.append((f"conv2d_{n}", "Conv2D", {"filters": filters, "side": 3, "activation": "relu"}, [source]))
        layers.append((f"bn_{n}", "BatchNormalization", {}, [f"conv2d_{n}"]))
        return f"bn_{n}"

    def join(name: str, kind: str, *sources: str) -> str:
        layers.append((name, kind, {}, list(sources)))
        return name

    x, skips = "x", []
    for level, filters in enumerate((32, 64, 128, 128)):
        a = unit(filters, x)
        b = unit(filters, a)
        pooled = join(f"pool_{level}", "MaxPooling2D", join(f"cat_{level}", "Concatenate", b, a))
        skips.append((a, pooled))
        x = pooled
    x = unit(128, x)
    for level, filters in ((3, 128), (2, 64), (1, 32)):
        up = join(f"up_{level}", "UpSampling2D", x)
        x = unit(filters, join(f"cat_a_{level}", "Concatenate", up, skips[level][0]))
        x = unit(filters, join(f"cat_p_{level}", "Concatenate", x, skips[level - 1][1]))
    top = join("cat_top", "Concatenate", join("up_0", "UpSampling2D", x), skips[0][0])
    layers.append(("conv2d_16", "Conv2D", {"filters": 1, "side": 3, "activation": "linear"}, [top]))
    return layers


def random_weights(layers: list[Layer], rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    channels: dict[str, int] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for name, kind, settings, sources in layers:
        c_in = sum(channels[source] for source in sources) or 1
        channels[name] = settings.get("filters", c_in)
        if kind == "Conv2D":
            side, filters = settings["side"], settings["filters"]
            scale = (2 / (side * side * c_in)) ** 0.5
            weights[name] = [rng.normal(0, scale, (side, side, c_in, filters)), rng.normal(0, 0.1, filters)]
        elif kind == "BatchNormalization":
            gamma, beta, mean, variance = rng.uniform(0.5, 1.5, (4, c_in))
            weights[name] = [gamma, beta, mean, variance]
    return {name: [array.astype(np.float32) for array in arrays] for name, arrays in weights.items()}


def write_keras(path: Path, layers: list[Layer], weights: dict[str, list[np.ndarray]]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name, *_ in layers])
        for name, *_ in layers:
            group, arrays = file.create_group(name), weights.get(name, [])
            group.attrs["weight_names"] = np.array([f"{name}/w{i}:0".encode() for i in range(len(arrays))], dtype="S40")
            for i, array in enumerate(arrays):
                group[f"{name}/w{i}:0"] = array


def interpret(layers: list[Layer], weights: dict[str, list[np.ndarray]], x: Tensor) -> Tensor:
    values: dict[str, Tensor] = {}
    for name, kind, settings, sources in layers:
        inputs = [values[source] for source in sources]
        arrays = [torch.from_numpy(array) for array in weights.get(name, [])]
        match kind:
            case "InputLayer":
                y = x
            case "Conv2D":
                y = F.conv2d(inputs[0], arrays[0].permute(3, 2, 0, 1), arrays[1], padding="same")
                y = F.relu(y) if settings["activation"] == "relu" else y
            case "BatchNormalization":
                gamma, beta, mean, variance = (array[:, None, None] for array in arrays)
                y = gamma * (inputs[0] - mean) / (variance + 1e-3).sqrt() + beta
            case "Concatenate":
                y = torch.cat(inputs, 1)
            case "MaxPooling2D":
                y = F.max_pool2d(inputs[0], 2)
            case "UpSampling2D":
                y = inputs[0].repeat_interleave(2, -1).repeat_interleave(2, -2)
            case "SpatialDropout2D":
                y = inputs[0]
        values[name] = y
    return y


def json_layers(path: Path) -> Iterator[Layer]:
    for layer in json.loads(path.read_text())["config"]["layers"]:
        config, settings = layer["config"], {}
        if layer["class_name"] == "Conv2D":
            settings = {k: config[k] for k in ("filters", "activation")} | {"side": config["kernel_size"][0]}
        sources = [source[0] for source in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []
        yield layer["name"], layer["class_name"], settings, sources


def test_published_sizes() -> None:
    def weights(net: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in net.parameters())

    assert weights(EncoderDecoder(MassSettings.model_construct(width=1.0))) == 2_179_681
    assert weights(EncoderDecoder(MassSettings.model_construct(width=0.25))) == 137_113
    cnn = AgeDistanceCNN(AgeDistanceSettings.model_construct(width=1.0))
    statistics = sum(b.numel() for name, b in cnn.named_buffers() if "running" in name)
    assert weights(cnn) + statistics == 517_954


def check_mass_network(path: Path, layers: list[Layer], weights: dict[str, list[np.ndarray]]) -> None:
    net = published_network(path)
    flux = torch.randn(2, 1, 32, 48) - 5
    with torch.no_grad():
        expected = LOG_MASS[0] + LOG_MASS[1] * interpret(layers, weights, (flux - LOG_FLUX[0]) / LOG_FLUX[1])
        torch.testing.assert_close(net(flux).pixels.mean, expected, rtol=1e-4, atol=1e-4)


def test_mass_network_equals_an_interpreter_of_the_graph(tmp_path: Path) -> None:
    layers = encoder_decoder_layers()
    weights = random_weights(layers, np.random.default_rng(1))
    write_keras(tmp_path / "CED.h5", layers, weights)
    check_mass_network(tmp_path / "CED.h5", layers, weights)


def test_mass_network_equals_the_authors_json(tmp_path: Path, real_data: Path) -> None:
    layers = list(json_layers(real_data / "pidoc_published/CED.json"))
    weights = random_weights(layers, np.random.default_rng(2))
    write_keras(tmp_path / "CED.h5", layers, weights)
    check_mass_network(tmp_path / "CED.h5", layers, weights)


def test_published_cnn_reproduces_its_own_answers(real_data: Path) -> None:
    net = published_network(real_data / "pidoc_published/CNN_100.h5")
    assert isinstance(net, AgeDistanceCNN)
    reference = np.load(real_data / "pidoc_published/cnn_reference.npz")
    with torch.no_grad():
        distance, age = net.targets.unscale(net(torch.from_numpy(reference["log_flux"])[:, None]).mean)
    np.testing.assert_allclose(distance, reference["published_cnn_distance_kpc"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(age, reference["published_cnn_age_gyr"], rtol=0, atol=1e-3)


def test_pooling_before_dropout_is_the_published_graph() -> None:
    """Values and gradients of a training step are those of the published order of layers."""
    torch.manual_seed(1)
    ours = AgeDistanceCNN(AgeDistanceSettings.model_construct(width=0.5))
    published = copy.deepcopy(ours)
    layers = list(published.features)
    blocks = (layers[i : i + 6] for i in range(0, len(layers), 6))
    published.features = nn.Sequential(*(block[k] for block in blocks for k in (0, 1, 2, 5, 4, 3)))
    assert [type(x) for x in published.features[2:6]] == [nn.BatchNorm2d, nn.Dropout2d, nn.ReLU, nn.MaxPool2d]
    flux, answers = torch.randn(4, 1, 160, 160), []
    for net in (ours, published):
        for layer in net.modules():
            if isinstance(layer, nn.Dropout2d):
                layer.p = 0.5
        torch.manual_seed(2)
        mean = net(flux).mean
        mean.square().sum().backward()
        answers.append([mean, *(weight.grad for weight in net.parameters())])
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-5)


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    layers = encoder_decoder_layers()
    weights = random_weights(layers, np.random.default_rng(3))
    write_keras(tmp_path / "short.h5", layers[:-1], weights)
    with pytest.raises(ValueError, match="30 layers with weights where the published graph has 31"):
        published_network(tmp_path / "short.h5")
    weights["conv2d_16"][0] = np.zeros((3, 3, 64, 2), np.float32)
    write_keras(tmp_path / "wide.h5", layers, weights)
    with pytest.raises(ValueError, match="layer 31"):
        published_network(tmp_path / "wide.h5")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(ValueError, match="Keras"):
        published_network(tmp_path / "data.h5")


def test_sum_of_the_map() -> None:
    log_mass = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(log_sum(log_mass), torch.log10((10**log_mass).sum((1, 2, 3))))


def test_the_field_is_the_sum_of_the_map() -> None:
    mass = EncoderDecoder(MassSettings.model_construct(width=0.1)).eval()(torch.randn(2, 1, 32, 32))
    torch.testing.assert_close(mass.field.mean, log_sum(mass.pixels.mean))
