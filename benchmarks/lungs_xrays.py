"""The lungs' network on real X-rays: pictures held out by patient, kinds of code, other hospitals, and its time."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from benchmarks.lungs_pictures import CHOSEN, FOLDS, KINDS, apart, chain, files_of, folds, opened, squares, xray_folder
from benchmarks.results import Row
from datamodules.base import TensorDataModule
from datamodules.settings import PictureData
from lit_modules.autoencoder import LitAutoencoder
from pipeline.evaluation.autoencoder import quality
from pipeline.evaluation.autoencoder.rivals import PrincipalAxes
from pipeline.settings.load import load_params
from pipeline.training.callbacks import SeedEachBatch
from pipeline.training.trainer import make_trainer

CODES = (256, 64, 32, 16)
UNIT = "MSE"
GOAL = 0.0012  # of 256 numbers
EPOCHS, QUICK_EPOCHS = 250, 2
REFINEMENTS = 40  # steps of L-BFGS
SECONDS = 25.0  # goal, on two cores

KINDS_OF_CODE: dict[str, dict[str, Any]] = {  # what differs from a dense code of 256 numbers
    "top 32 entries": {"code": "top_k", "active_units": 32},
    "L1": {"code": "l1", "sparsity": 1.0},
    "KL": {"code": "kl", "sparsity": 5.0, "target": 0.1},
    "denoising, .05": {"noise": 0.05},
    "tied": {"tied": True},
}


# --- networks --------------------------------------------------------------------------------------------------------


class Pictures(TensorDataModule):
    """Pictures to learn and held-out ones, as the chain serves those of a folder."""

    Settings = PictureData
    padded, white, drawn = False, 255, False

    def __init__(self, train: Tensor, held_out: Tensor, **parameters: Any) -> None:
        super().__init__("", **parameters)
        self.splits = {"train": {"image": train}, "val": {"image": held_out}}


def started(train: Tensor, held_out: Tensor, **changes: Any) -> tuple[LitAutoencoder, Pictures]:
    """The chain's network with some settings changed, before training, and its data."""
    section = load_params("params.yaml").model_section("autoencoder-healthy")
    pl.seed_everything(section.seed, verbose=False)
    model = LitAutoencoder(**section.model.model_dump() | {"code": "dense"} | changes)
    data = Pictures(train, held_out, seed=section.seed, **section.data.model_dump())
    model.fit_statistics(data)
    return model, data


def train(model: LitAutoencoder, data: Pictures, epochs: int) -> None:
    """As the chain trains it, whatever is held out: the last weights stay."""
    params = load_params("params.yaml")
    section = params.model_section("autoencoder-healthy")
    settings = section.trainer.model_copy(update={"max_epochs": epochs})
    callbacks: list[pl.Callback] = [SeedEachBatch(section.seed)]
    trainer = make_trainer(settings, params.runtime, logger=False, callbacks=callbacks, single=True)
    trainer.fit(model, datamodule=data)
    model.eval()


def widths(code: int) -> dict[str, list[int]]:
    """The chain's layers, with a code of so many numbers."""
    return {"widths": [*chain().widths[:-1], code]}


@torch.no_grad()
def errors(model: LitAutoencoder, images: Tensor) -> Tensor:
    """Mean square error of each picture, (n,)."""
    return model.errors(images)


def refined_errors(model: LitAutoencoder, images: Tensor) -> Tensor:
    """Those from the code that redraws a picture best, by L-BFGS from the encoder's, (n,)."""
    code = model.net.encode(images).detach().requires_grad_()
    optimiser = torch.optim.LBFGS([code], max_iter=REFINEMENTS, line_search_fn="strong_wolfe")

    def squared_error() -> Tensor:
        optimiser.zero_grad()
        loss = (model.net.decode(code) - images).square().sum()
        loss.backward(inputs=[code])
        return loss

    optimiser.step(squared_error)
    return quality.errors(model.net.decode(code), images).detach()


def component_errors(train: Tensor, images: Tensor, components: list[int]) -> list[Tensor]:
    """Errors of as many principal components of ``train``, (n,) each."""
    fit = PrincipalAxes.of(train, max(components))
    return [quality.errors(fit.redraw(images, k), images).float() for k in components]


# --- parts -----------------------------------------------------------------------------------------------------------


def xrays(quick: bool) -> list[Row]:
    """Held-out errors of a dense code of 256, 64, 32 and 16 numbers beside those of as many components."""
    found: dict[str, list[Tensor]] = {}
    for number, (seen, held_out) in enumerate(folds()[: 1 if quick else FOLDS]):
        for name, values in compared(seen, held_out, quick):
            found.setdefault(name, []).append(values)
        print(f"lungs: fold {number + 1} of {FOLDS} is done", file=sys.stderr, flush=True)
    return rows_of({name: torch.cat(values) for name, values in found.items()})


def compared(seen: Tensor, held_out: Tensor, quick: bool) -> Iterator[tuple[str, Tensor]]:
    """Every method and its errors, (n,)."""
    full = len(seen) - 1
    mean, *plain = component_errors(seen, held_out, [0, full, *(k for k in CODES if k < full)])
    yield "mean picture", mean
    yield from zip(["PCA, full rank", *(f"PCA, {k}" for k in CODES if k < full)], plain, strict=True)
    for code in CODES:
        model, data = started(seen, held_out, **widths(code))
        if code == max(CODES):
            rivals = component_errors(model.deformed_copies(seen), held_out, list(CODES))
            yield from zip([f"PCA of copies, {k}" for k in CODES], rivals, strict=True)
        yield f"before training, {code}", errors(model, held_out)
        train(model, data, QUICK_EPOCHS if quick else EPOCHS)
        yield f"network, {code}", errors(model, held_out)
        yield f"network, best code, {code}", refined_errors(model, held_out)


def rows_of(found: dict[str, Tensor]) -> list[Row]:
    """Rows of :func:`compared`: the network's goals are the rivals' errors, that of 256 numbers is ``GOAL``."""
    copies = f"{chain().copies} deformed copies of each picture"
    pictures = f"{len(next(iter(found.values())))} of {CHOSEN} X-rays, {FOLDS} folds by patient"
    rows = []
    for name, values in found.items():
        kind, _, code = name.rpartition(", ")
        rival = found.get(f"PCA of copies, {code}") if kind == "network" else None
        if rival is None:
            of_copies = kind in ("PCA of copies", "before training")
            rows.append(Row(f"X-rays: {name}", float(values.mean()), UNIT, None, None, "lower", copies * of_copies))
            continue
        reference = float(rival.mean())
        goal = GOAL if code == str(max(CODES)) else reference
        wins = f"{pictures}; better than PCA of copies on {int((values < rival).sum())}"
        rows.append(Row(f"X-rays: {name}", float(values.mean()), UNIT, reference, goal, "lower", wins))
    return rows


def codes(quick: bool) -> list[Row]:
    """Kinds of code, denoising, tied matrices and a longer training, each of 256 numbers."""
    parts = folds()[: 1 if quick else FOLDS]
    epochs = QUICK_EPOCHS if quick else EPOCHS
    rows = [code_row("dense", parts, epochs, {})]
    rows += [code_row(name, parts, epochs, changes) for name, changes in KINDS_OF_CODE.items()]
    return [*rows, code_row(f"dense, {2 * epochs} epochs", parts, 2 * epochs, {})]


def code_row(name: str, parts: list[tuple[Tensor, Tensor]], epochs: int, changes: dict[str, Any]) -> Row:
    """Held-out error of one kind, with the share of the code's entries that a picture uses, and what KL reached."""
    found, shares, activities = [], [], []
    for seen, held_out in parts:
        model, data = started(seen, held_out, **changes)
        train(model, data, epochs)
        found.append(errors(model, held_out))
        shares.append(model.active_share(held_out))
        activities.append(model.activity(held_out))
    used = f"{np.mean(shares):.0%} of the entries active"
    if model.settings.code == "kl":
        used += f"; mean activity {np.mean(activities):.2g}, target {model.settings.target:g}"
    return Row(f"codes: {name}", float(torch.cat(found).mean()), UNIT, None, None, "lower", used)


def both_ways(quick: bool) -> list[Row]:
    """Trained on the X-rays of COVID patients, read on healthy children's, and the reverse."""
    covid, healthy = (xray_folder(kind) for kind in KINDS)
    return cross(covid, healthy, quick) + cross(healthy, covid, quick)


def cross(learned: Path, redrawn: Path, quick: bool) -> list[Row]:
    """Errors on the pictures of one folder after training on those of another, beside principal components.

    Raises:
        InputError: a picture is in both folders.
    """
    seen, new = (squares(pictures) for pictures in apart(learned, redrawn))
    model, data = started(seen, new)
    code = model.settings.widths[-1]
    rank = min(len(seen) - 1, code)
    [plain] = component_errors(seen, new, [rank])
    [copies] = component_errors(model.deformed_copies(seen), new, [code])
    train(model, data, QUICK_EPOCHS if quick else EPOCHS)
    title = f"{learned.name} to {redrawn.name}"
    best = min(float(plain.mean()), float(copies.mean()))
    of_each = f"{model.copies_of_each(len(seen))} deformed copies of each picture"
    note = f"{len(seen)} pictures learned, {len(new)} redrawn; other sources, no diagnosis"
    return [
        Row(f"{title}: PCA, {rank}", float(plain.mean()), UNIT, None, None, "lower"),
        Row(f"{title}: PCA of copies, {code}", float(copies.mean()), UNIT, None, None, "lower", of_each),
        Row(f"{title}: network, {code}", float(errors(model, new).mean()), UNIT, best, best, "lower", note),
    ]


def seconds(quick: bool) -> list[Row]:
    """Wall time and CPU time of a training on 80 X-rays, its start from principal components included."""
    files = [file for kind in KINDS for file in files_of(xray_folder(kind))][:CHOSEN]
    images = squares(opened(files))
    epochs = QUICK_EPOCHS if quick else EPOCHS
    timed(images, 1)  # what is done once, such as imports
    wall, processor = timed(images, epochs)
    title = f"{epochs} epochs of {CHOSEN} pictures"
    return [
        Row(title, wall, "s", None, SECONDS, "lower", "one thread, start included"),
        Row(f"{title}, CPU", processor, "CPU s", None, None, "lower"),
    ]


def timed(images: Tensor, epochs: int) -> tuple[float, float]:
    """Wall and CPU seconds."""
    clocks: tuple[Callable[[], float], ...] = (time.perf_counter, time.process_time)
    before = [clock() for clock in clocks]
    model, data = started(images, images[:1])
    train(model, data, epochs)
    wall, processor = (clock() - start for clock, start in zip(clocks, before, strict=True))
    return wall, processor
