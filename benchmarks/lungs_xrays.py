"""The lungs' network on real X-rays: pictures held out by patient, kinds of code, other hospitals, and its time."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from benchmarks.results import Row
from datamodules.base import TensorDataModule
from datamodules.settings import PictureData
from lit_modules.autoencoder import LitAutoencoder
from pipeline.errors import InputError
from pipeline.inputs import duplicates
from pipeline.inputs.pictures import SUFFIXES, grey_square, read_picture
from pipeline.preprocess_images import join_groups
from pipeline.settings.load import load_params
from pipeline.training.callbacks import SeedEachBatch
from pipeline.training.trainer import make_trainer

KINDS = ("covid", "healthy")
CHOSEN, FOLDS, SEED = 80, 5, 1
COPIES = 40  # of each picture, of whose components the rivals are
CODES = (256, 64, 32, 16)
UNIT = "MSE"
GOAL = 0.0012  # of 256 numbers
EPOCHS, QUICK_EPOCHS = 250, 2
REFINEMENTS = 40  # steps of L-BFGS
SECONDS = 25.0  # goal, on two cores

KINDS_OF_CODE: dict[str, dict[str, Any]] = {  # what differs from a dense code of 256 numbers
    "top 32 entries": {"code": "top_k", "active_units": 32},
    "L1": {"code": "l1"},
    "KL": {"code": "kl"},
    "denoising, .05": {"noise": 0.05},
    "tied": {"tied": True},
}


# --- pictures --------------------------------------------------------------------------------------------------------


def xray_folder(kind: str) -> Path:
    """Folder of the real X-rays of one kind.

    Raises:
        InputError: STAR_CLUSTER_DATA is not set, or holds no such folder.
    """
    folder = Path(os.environ.get("STAR_CLUSTER_DATA", "")) / "lungs" / kind
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; set STAR_CLUSTER_DATA to the folder that holds lungs/{kind}")
    return folder


def files_of(folder: Path) -> list[Path]:
    """Pictures below a folder, by name.

    Raises:
        InputError: there are fewer than two.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if len(files) < 2:
        raise InputError(f"{folder}: {len(files)} picture(s); name a folder of at least two")
    return files


def opened(files: list[Path]) -> list[Image.Image]:
    """Decoded, of 8 bits."""
    return [read_picture(file.read_bytes(), str(file)) for file in files]


def squares(pictures: list[Image.Image]) -> Tensor:
    """Grey squares of the chain's size, (n, 1, side, side) in [0, 1]."""
    side = load_params("params.yaml").model_section("autoencoder-healthy").model.side
    return torch.stack([grey_square(picture, side) for picture in pictures]).float() / 255


def patients_of(files: list[Path], pictures: list[Image.Image]) -> list[str]:
    """Kind and name without a last letter (00003a, 00003b: one patient); pictures that look alike share one."""
    named = [f"{file.parent.name}/{re.sub(r'(?<=[0-9])[a-z]$', '', file.stem)}" for file in files]
    prints = [duplicates.fingerprint(picture) for picture in pictures]
    return join_groups(named, [*duplicates.equal_pairs(prints), *duplicates.alike_pairs(prints)])


def folds() -> list[tuple[Tensor, Tensor]]:
    """Training and held-out pictures of each fold: 80 of all X-rays at random, by patient, both kinds in each."""
    every = [file for kind in KINDS for file in files_of(xray_folder(kind))]
    files = [every[k] for k in np.random.default_rng(SEED).permutation(len(every))[:CHOSEN]]
    pictures = opened(files)
    images = squares(pictures)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    parts = splitter.split(files, [file.parent.name for file in files], patients_of(files, pictures))
    return [(images[torch.from_numpy(seen)], images[torch.from_numpy(held)]) for seen, held in parts]


# --- networks --------------------------------------------------------------------------------------------------------


class Pictures(TensorDataModule):
    """Pictures to learn and held-out ones, as the chain serves those of a folder."""

    Settings = PictureData
    padded, white = False, 255

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


def train(model: LitAutoencoder, data: Pictures, epochs: int, threads: int = 1) -> None:
    """As the chain trains it, whatever is held out: the last weights stay."""
    params = load_params("params.yaml")
    section = params.model_section("autoencoder-healthy")
    settings = section.trainer.model_copy(update={"max_epochs": epochs, "threads": threads})
    callbacks: list[pl.Callback] = [SeedEachBatch(section.seed)]
    trainer = make_trainer(settings, params.runtime, logger=False, callbacks=callbacks, single=True)
    trainer.fit(model, datamodule=data)
    model.eval()


def widths(code: int) -> dict[str, list[int]]:
    """The chain's layers, with a code of so many numbers."""
    return {"widths": [*load_params("params.yaml").model_section("autoencoder-healthy").model.widths[:-1], code]}


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
    return (model.net.decode(code) - images).square().flatten(1).mean(dim=1).detach()


def component_errors(train: Tensor, images: Tensor, components: list[int]) -> list[Tensor]:
    """Errors of as many principal components of ``train``, (n,) each."""
    x, new = train.flatten(1).double().numpy(), images.flatten(1).double().numpy()
    solver = "full" if len(x) < x.shape[1] else "covariance_eigh"
    pca = PCA(max(components), svd_solver=solver).fit(x)
    code = (new - pca.mean_) @ pca.components_.T
    redrawn = [pca.mean_ + code[:, :k] @ pca.components_[:k] for k in components]
    return [torch.from_numpy(np.square(picture - new).mean(axis=1)).float() for picture in redrawn]


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
            copies = model.deformed_copies(seen, COPIES)
            rivals = component_errors(copies, held_out, list(CODES))
            yield from zip([f"PCA of copies, {k}" for k in CODES], rivals, strict=True)
        yield f"before training, {code}", errors(model, held_out)
        train(model, data, QUICK_EPOCHS if quick else EPOCHS)
        yield f"network, {code}", errors(model, held_out)
        yield f"network, best code, {code}", refined_errors(model, held_out)


def rows_of(found: dict[str, Tensor]) -> list[Row]:
    """Rows of :func:`compared`: the network's goals are the rivals' errors, that of 256 numbers the issue's."""
    pictures = f"{len(next(iter(found.values())))} of {CHOSEN} X-rays, {FOLDS} folds by patient"
    rows = []
    for name, values in found.items():
        kind, _, code = name.rpartition(", ")
        rival = found.get(f"PCA of copies, {code}") if kind == "network" else None
        if rival is None:
            rows.append(Row(f"X-rays: {name}", float(values.mean()), UNIT, None, None, "lower"))
            continue
        reference = float(rival.mean())
        goal = GOAL if code == str(max(CODES)) else reference
        wins = f"{pictures}; better than PCA of {COPIES} copies on {int((values < rival).sum())}"
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
    """Held-out error of one kind, with the share of the code's entries that a picture uses."""
    found, shares = [], []
    for seen, held_out in parts:
        model, data = started(seen, held_out, **changes)
        train(model, data, epochs)
        found.append(errors(model, held_out))
        shares.append(model.active_share(held_out))
    used = f"{np.mean(shares):.0%} of the entries active"
    return Row(f"codes: {name}", float(torch.cat(found).mean()), UNIT, None, None, "lower", used)


def both_ways(quick: bool) -> list[Row]:
    """Trained on the X-rays of COVID patients, read on healthy children's, and the reverse."""
    covid, healthy = (xray_folder(kind) for kind in KINDS)
    return cross(covid, healthy, quick) + cross(healthy, covid, quick)


def cross(learned: Path, redrawn: Path, quick: bool) -> list[Row]:
    """Errors on the pictures of one folder after training on those of another, beside principal components."""
    seen, new = (squares(opened(files_of(folder))) for folder in (learned, redrawn))
    model, data = started(seen, new)
    code = model.settings.widths[-1]
    [full] = component_errors(seen, new, [min(len(seen) - 1, seen[0].numel())])
    [copies] = component_errors(model.deformed_copies(seen, COPIES), new, [code])
    train(model, data, QUICK_EPOCHS if quick else EPOCHS)
    title = f"{learned.name} to {redrawn.name}"
    best = min(float(full.mean()), float(copies.mean()))
    note = f"{len(seen)} pictures learned, {len(new)} redrawn; other sources, no diagnosis"
    return [
        Row(f"{title}: PCA, full rank", float(full.mean()), UNIT, None, None, "lower"),
        Row(f"{title}: PCA of copies, {code}", float(copies.mean()), UNIT, None, None, "lower"),
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
        Row(title, wall, "s", None, SECONDS, "lower", "two threads, start included"),
        Row(f"{title}, CPU", processor, "CPU s", None, None, "lower"),
    ]


def timed(images: Tensor, epochs: int) -> tuple[float, float]:
    """Wall and CPU seconds."""
    clocks: tuple[Callable[[], float], ...] = (time.perf_counter, time.process_time)
    before = [clock() for clock in clocks]
    model, data = started(images, images[:1])
    train(model, data, epochs, threads=2)
    wall, processor = (clock() - start for clock, start in zip(clocks, before, strict=True))
    return wall, processor
