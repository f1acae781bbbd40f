"""How fast maps of clusters are drawn, and the published networks of π-DOC trained."""

import copy
import time
from typing import Any

import numpy as np
import torch

from benchmarks.chain import ROOT, make_folder, stage
from benchmarks.pidoc_runs import AGE, MASS
from benchmarks.results import Row
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS


def speed(quick: bool) -> list[Row]:
    """How fast maps are drawn and networks trained."""
    rounds, rows = 1 if quick else 6, [maps_drawn(quick)]
    for name, model, size in (("mass", MASS, 16), ("age and distance", AGE, 32)):
        module, maps = published_width(model), 2 if quick else size
        rows += [training_speed(name, module, maps, rounds), speed_of_convolutions(name, module, maps, rounds)]
    return rows


def maps_drawn(quick: bool) -> Row:
    """Maps drawn a second."""
    few, many = (4, 12) if quick else (40, 400)
    projections = 3
    seconds = []
    for number in (few, many):
        sizes = {"n_train": number, "n_val": 1, "n_calibration": 1, "n_test": 1, "projections": projections}
        stars = {"broad.initial_stars.low": 2e4, "broad.initial_stars.high": 8e4}
        folder = make_folder(f"pidoc/speed-{number}", {"clusters": {"priors": "broad", **stars, **sizes}})
        start = time.perf_counter()
        stage(folder, None, "generate_clusters")
        seconds.append(time.perf_counter() - start)
    rate = projections * (many - few) / (seconds[1] - seconds[0])
    note = (
        f"2e4 to 8e4 stars, {projections} projections each, all cores; start-up not counted; "
        "reference: plain numpy, one core"
    )
    return Row("maps drawn", rate, "1/s", 88.0, 300.0, "higher", note)


def published_width(model: str) -> Any:
    """The module of the published graph."""
    section = load_params(str(ROOT / "params.yaml")).model_section(model)
    wide = section.model.model_copy(update={"network": "published", "width": 1.0})
    return MODELS[model].make_module(section.model_copy(update={"model": wide}))


def training_speed(name: str, module: LitPidocMass | LitPidocAgeDistance, size: int, rounds: int) -> Row:
    """Steps of the pipeline (bf16, channels last) and of the graph as published in float32 NCHW, in turn, medians."""
    torch.manual_seed(1)
    flux = -5.4 + 0.9 * torch.randn(size, 1, 160, 160)
    batch = {"flux": flux, "mass": flux + 4.5}
    labels = {"distance": 30.0, "age": 9.0, "field": 3.5}
    batch |= {name: torch.full((size,), value) for name, value in labels.items()}
    modules = {"ours": module, "plain": plainly(module)}
    seconds: dict[str, list[float]] = {kind: [] for kind in modules}
    losses = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the trainings of the pipeline
    for turn in range(rounds + 1):
        for kind, one in modules.items():
            torch.manual_seed(1)
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "ours"):
                loss = one.losses(batch)["loss"]
            loss.backward()
            if turn:
                seconds[kind].append(time.perf_counter() - start)
            losses[kind] = loss.item()
            one.zero_grad()
    torch.set_num_threads(threads)
    times = {kind: float(np.median(values)) for kind, values in seconds.items()}
    note = (
        f"{size / times['ours']:.3g} images/s at width 1, one thread; "
        f"loss {losses['ours']:.4f} against {losses['plain']:.4f}"
    )
    return Row(
        f"training, {name}: speed / float32 NCHW", times["plain"] / times["ours"], "x", None, 3.0, "higher", note
    )


def speed_of_convolutions(name: str, module: LitPidocMass | LitPidocAgeDistance, size: int, rounds: int) -> Row:
    """The same ratio of the convolutions alone, forwards and backwards: what remains if all else took no time."""
    kinds = {"ours": (torch.bfloat16, torch.channels_last), "plain": (torch.float32, torch.contiguous_format)}
    seconds = dict.fromkeys(kinds, 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for layer, x in convolutions(module, torch.randn(size, 1, 160, 160)):
        for kind, (dtype, layout) in kinds.items():
            one = copy.deepcopy(layer).to(dtype).to(memory_format=layout)
            seen = x.to(dtype, memory_format=layout).requires_grad_(layer.in_channels > 1)
            seconds[kind] += float(np.median([seconds_of_step(one, seen) for _ in range(rounds + 1)][1:]))
    torch.set_num_threads(threads)
    title = f"training, {name}: speed / float32 NCHW, convolutions alone"
    return Row(title, seconds["plain"] / seconds["ours"], "x", None, None, "higher")


def convolutions(module: LitPidocMass | LitPidocAgeDistance, flux: torch.Tensor) -> list[tuple[torch.nn.Conv2d, Any]]:
    """Each convolution of a network and what it sees of flux maps."""
    met: list[tuple[torch.nn.Conv2d, Any]] = []
    layers = [layer for layer in module.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    hooks = [layer.register_forward_hook(lambda layer, seen, _: met.append((layer, seen[0]))) for layer in layers]
    with torch.no_grad():
        module.net(flux)
    for hook in hooks:
        hook.remove()
    return met


def seconds_of_step(layer: torch.nn.Module, x: torch.Tensor) -> float:
    """Of a layer, forwards and backwards."""
    start = time.perf_counter()
    y = layer(x)
    y.backward(y.detach())
    return time.perf_counter() - start


def plainly(module: Any) -> Any:
    """A copy with the layers in the published order, NCHW."""
    plain = copy.deepcopy(module)
    if isinstance(module, LitPidocAgeDistance):
        layers = list(plain.net.features)
        blocks = (layers[k : k + 6] for k in range(0, len(layers), 6))
        plain.net.features = torch.nn.Sequential(*(block[k] for block in blocks for k in (0, 1, 2, 5, 4, 3)))
    plain.net.to(memory_format=torch.contiguous_format)
    return plain
