"""Anomalies in X-rays by the error of a network that learned healthy ones, on folders of MedIAnomaly's layout.

Cai et al. (2024, arXiv 2404.04518) give out RSNA and VinDr-CXR as folders RSNA and
VinCXR: ``data.json`` holds the file names of ``train`` and ``test`` by label, "0" normal and "1" abnormal, and the
pictures lie in ``images/``. Their plain autoencoder is convolutional; that of the lungs, here, is fully connected.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from benchmarks.lungs_mnist import cut, dense, train
from benchmarks.results import Row
from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from pipeline.errors import InputError
from pipeline.evaluation.autoencoder.quality import errors
from pipeline.inputs.pictures import read_picture

SIDE, WIDTHS = 64, [1024, 512, 4]
EPOCHS, BATCH, RATE = 250, 64, 1e-3  # published
PUBLISHED = {"RSNA": 72.9, "VinCXR": 61.3}  # mean of three seeds


def anomaly(folder: Path, quick: bool) -> list[Row]:
    """Area under the ROC curve of the squared error of a picture, of the network and of as many principal components.

    Args:
        folder: of one data set.
        quick: one epoch.

    Raises:
        InputError: the folder is not of that layout, or one of its pictures cannot be read.
    """
    pictures, normal, abnormal = (read(folder, *part) for part in (("train", "0"), ("test", "0"), ("test", "1")))
    torch.manual_seed(1)
    net = Autoencoder(dense(SIDE, WIDTHS))
    net.fit(pictures)
    components = auc(net, normal, abnormal)
    epochs = 1 if quick else EPOCHS
    train(net, pictures, epochs, BATCH, RATE, lambda batch: batch)
    n = f"{len(pictures)} of training, {len(normal)} normal and {len(abnormal)} abnormal of test"
    title = f"{folder.resolve().name}: anomalies by the error"
    published = PUBLISHED.get(folder.resolve().name)
    return [
        Row(
            f"{title}, code of {WIDTHS[-1]}",
            auc(cut(net), normal, abnormal),
            "AUC, %",
            published,
            published,
            "higher",
            n,
        ),
        Row(f"{title}, {WIDTHS[-1]} principal components", components, "AUC, %", None, None, "higher"),
    ]


def read(folder: Path, split: str, label: str) -> Tensor:
    """Pictures of one list of data.json, grey, resized as published, (n, 1, SIDE, SIDE) in [0, 1]."""
    table = folder / "data.json"
    try:
        names = json.loads(table.read_text(encoding="utf-8"))[split][label]
    except FileNotFoundError as error:
        raise InputError(f"{table}: no such file; name a folder with data.json and images/, as RSNA's") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{table}: it needs lists of files under "train": "0" and "test": "0", "1"') from error
    if not names:
        raise InputError(f'{table}: "{split}": "{label}" is empty; list some pictures')
    return torch.stack([picture(folder / "images" / name) for name in names])


def picture(path: Path) -> Tensor:
    """One picture, (1, SIDE, SIDE)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, but data.json names it; put it there or strike its name")
    grey = read_picture(path.read_bytes(), str(path)).convert("L")
    return pil_to_tensor(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) / 255


@torch.no_grad()
def auc(redraw: Callable[[Tensor], Tensor], normal: Tensor, abnormal: Tensor) -> float:
    """Chance that an abnormal picture has the larger error, %."""
    pictures = torch.cat([normal, abnormal])
    found = torch.cat([errors(redraw(part), part) for part in pictures.split(256)])
    labels = [0] * len(normal) + [1] * len(abnormal)
    return 100 * float(roc_auc_score(labels, found.numpy()))
