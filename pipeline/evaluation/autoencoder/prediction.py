"""Reconstructs your own picture, and says how large its error is."""

from pathlib import Path

import torch

from lit_modules.autoencoder import LitAutoencoder
from pipeline.errors import InputError
from pipeline.evaluation.autoencoder.evaluation import errors
from pipeline.evaluation.common.panels import picture_rows
from pipeline.evaluation.common.result import Picture, Result, style
from pipeline.inputs.pictures import grey_square, read_picture


@torch.no_grad()
def predict(models: list[LitAutoencoder], path: Path) -> Result:
    """Reconstruct one picture, and say how large its error is.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a picture") from error
    [model] = models
    image = grey_square(read_picture(content, str(path)), model.settings.side)[None] / 255
    seen = model.net(image)
    pair = torch.cat([image[0], seen[0].clamp(0, 1)])
    with style():
        figure = picture_rows({"": pair}, path.name, columns=("original", "reconstruction"))
    caption = "The picture as the network sees it, and what it makes of it. A large error is no diagnosis."
    return Result({"mse": float(errors(model.net, image))}, [Picture("reconstruction", caption, figure)])
