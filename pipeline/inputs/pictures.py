"""Pictures of unknown origin: decoded to 8 bits or refused in one line, and made square and grey."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
MAX_PIXELS = 100_000_000  # 300 MB once decoded


def read_picture(content: bytes, name: str) -> Image.Image:
    """Decode a picture to mode ``L`` (grey) or ``RGB``, upright, on black where it is transparent.

    Args:
        content: the bytes of the file.
        name: of the file, for the message.

    Raises:
        InputError: it is no picture, cut off, too large, or has floating-point pixels.
    """
    too_large = InputError(f"{name}: more than {MAX_PIXELS:,} pixels; make it smaller or remove it")
    Image.init()  # Image.open loads no plugin for a format that is asked for by name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are accepted here
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height <= MAX_PIXELS:
                return _eight_bits(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise too_large from error
    except Exception as error:  # on broken bytes a decoder raises nearly anything
        reason = "no picture" if isinstance(error, Image.UnidentifiedImageError) else f"it cannot be decoded: {error}"
        raise InputError(f"{name}: {reason}; replace or remove it (png, jpg, tif, bmp and webp are read)") from error
    raise too_large


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known white; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("levels beyond 16 bits; save it with 8 or 16 bits")
        # Scanners put 10, 12 or 14 bits into files of 16: white is the least depth that holds the picture.
        white = 2 ** max(8, int(levels.max()).bit_length()) - 1
        return Image.fromarray(np.round(levels * (255 / white)).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image.convert(mode)


def grey_square(image: Image.Image, size: int) -> "Tensor":
    """The middle square of a picture, grey (ITU-R 601), resized with antialiasing.

    Returns:
        (1, size, size), uint8.
    """
    import torch
    from torchvision.transforms.v2 import functional

    picture = functional.to_dtype(functional.pil_to_tensor(image), torch.float32)  # no rounding between the steps
    picture = functional.rgb_to_grayscale(picture)
    picture = functional.center_crop(picture, [min(picture.shape[-2:])])
    picture = functional.resize(picture, [size, size], antialias=True)
    return picture.round().clamp(0, 255).to(torch.uint8)


def read_grey(path: Path, size: int) -> "Tensor":
    """A picture file as the networks take it: its middle square, grey.

    Returns:
        (1, 1, size, size), float32 in [0, 1].

    Raises:
        InputError: the file cannot be read as a picture.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a picture") from error
    return grey_square(read_picture(content, str(path)), size)[None] / 255
