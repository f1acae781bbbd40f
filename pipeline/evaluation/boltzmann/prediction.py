"""Recalls the right half of your own picture from its left."""

from pathlib import Path

import torch

from lit_modules.general_boltzmann import LitBoltzmann
from lit_modules.networks.boltzmann.pixels import stretch
from pipeline.evaluation.common.panels import picture_rows
from pipeline.evaluation.common.pictures import rms, tiles
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.inputs.own_picture import read_grey


@torch.no_grad()
def predict(models: list[LitBoltzmann], path: Path) -> Result:
    """Recall the right half of one picture from its left.

    Raises:
        InputError: the file is no picture that can be read.
    """
    [model] = models
    torch.manual_seed(0)  # the same picture gets the same answer
    picture, warnings = read_grey(path, model.settings.size, padded=bool(model.padded), white=int(model.white))
    grey = stretch(picture.to(model.device))
    known = model.left_half
    recalled = torch.where(known, grey, model.recall(grey, known))
    row = torch.cat([grey, torch.where(known, grey, torch.nan), recalled]).cpu()
    with style():
        figure = picture_rows({"": tiles(row, model.settings.size)}, path.name, ["original", "given", "recalled"])
    metrics = {"recall_rms": rms(recalled[:, ~known], grey[:, ~known]), "warnings": warnings}
    return Result(metrics, [Picture("recall", "The right half recalled from the left.", figure)])
