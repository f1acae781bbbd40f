"""Reconstructs your own picture, and says how large its error is."""

from pathlib import Path

import torch

from lit_modules.autoencoder import LitAutoencoder
from pipeline.evaluation.common.panels import picture_rows
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.inputs.own_picture import read_grey


@torch.no_grad()
def predict(models: list[LitAutoencoder], path: Path) -> Result:
    """Reconstruct one picture, and say how large its error is.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    [model] = models
    picture, warnings = read_grey(path, model.settings.side, padded=bool(model.padded), white=int(model.white))
    image = picture.to(model.device)
    seen = model.net(image)
    pair = torch.cat([image[0], seen[0].clamp(0, 1)]).cpu()
    with style():
        figure = picture_rows({"": pair}, path.name, columns=("original", "reconstruction"))
    error = float(model.errors(image))
    percentile = model.percentile(error)
    others = f"{len(model.validation_errors)} {'phantoms' if model.drawn else 'pictures'}"
    caption = (
        "The picture as the network sees it, and what it makes of it. Its error is larger than that of "
        f"{percentile:.0f} % of the {others} that the training was watched on. A large error is no diagnosis."
    )
    metrics = {"mse": error, "percentile": percentile, "warnings": warnings}
    return Result(metrics, [Picture("reconstruction", caption, figure)])
