"""Real X-rays for the lungs' network: folders of them, whose they are, and folds by patient."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from lit_modules.networks.autoencoder.settings import AutoencoderSettings
from pipeline.errors import InputError
from pipeline.inputs import duplicates
from pipeline.inputs.layouts import patient_stem
from pipeline.inputs.pictures import SUFFIXES, grey_square, read_picture
from pipeline.preprocess_images import join_groups
from pipeline.settings.load import load_params

KINDS = ("covid", "healthy")
CHOSEN, FOLDS, SEED = 80, 5, 1


def chain() -> AutoencoderSettings:
    """The chain's settings of the network."""
    return load_params("params.yaml").model_section("autoencoder-healthy").model


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
    return torch.stack([grey_square(picture, chain().side) for picture in pictures]).float() / 255


def patients_of(files: list[Path], pictures: list[Image.Image]) -> list[str]:
    """Kind and name without the letter of a further picture; pictures that look alike share one."""
    named = [f"{file.parent.name}/{patient_stem(file.stem)}" for file in files]
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


def apart(learned: Path, redrawn: Path) -> list[list[Image.Image]]:
    """The pictures of two folders.

    Raises:
        InputError: one folder is or holds the other, or pictures of both are the same or look alike.
    """
    one, other = learned.resolve(), redrawn.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise InputError(f"{redrawn}: the same folder as {learned}, or one within the other; name two that lie apart")
    pictures = [opened(files_of(folder)) for folder in (learned, redrawn)]
    prints = [duplicates.fingerprint(picture) for part in pictures for picture in part]
    n = len(pictures[0])
    pairs = [*duplicates.equal_pairs(prints), *duplicates.alike_pairs(prints)]
    joined = duplicates.connected(len(prints), pairs)
    if shared := len(set(joined[:n].tolist()) & set(joined[n:].tolist())):
        raise InputError(f"{redrawn}: {shared} of its pictures are, or look like, pictures of {learned}; take them out")
    return pictures
