"""Pictures of unknown origin: decoded or refused in one line, brought to 8 bits, and made square and grey."""

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InputError
from pipeline.inputs.dicom import is_dicom, read_dicom

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".dcm", ".dicom")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
READ = "png, jpg, tif, bmp, gif, webp and DICOM are read"
MAX_PIXELS = 100_000_000  # 300 MB once decoded
MAX_SIDE = 16_000  # of a picture that may get borders: a gigabyte as a square of floats
STRIP = 1 << 24  # pixels made grey at once
SHALLOW = 8  # a white that is so many times less than that of others: hardly to be seen beside them
PHOTOMETRIC_INTERPRETATION = 262  # the tag of TIFF: 0 where level 0 is white


@dataclass(frozen=True)
class DeepPicture:
    """A grey picture of up to 16 bits, whose white is not known from the file.

    Scanners put 10, 12 or 14 bits into files of 16. Pictures of a set share one white, or those that just
    reach 2048 would come out half as bright as those that just miss it.
    """

    levels: np.ndarray
    """(H, W), uint16."""
    white_is_zero: bool

    @property
    def white(self) -> int:
        """The least 2^b - 1, of at least 8 bits, that holds all but lone hot pixels and lines of them."""
        rows = np.minimum(self.levels[1:], self.levels[:-1]) if len(self.levels) > 1 else self.levels
        blocks = np.minimum(rows[:, 1:], rows[:, :-1]) if rows.shape[1] > 1 else rows
        return 2 ** max(8, int(blocks.max()).bit_length()) - 1

    def eight_bits(self, white: int) -> Image.Image:
        """Mode ``L``; what is brighter than ``white`` is white."""
        levels = np.minimum(self.levels, white)
        if self.white_is_zero:
            levels = white - levels
        scaled = levels * (255 / white)
        return Image.fromarray(np.round(scaled, out=scaled).astype(np.uint8))


def decode(content: bytes, name: str) -> Image.Image | DeepPicture:
    """Decode a picture: of mode ``L`` (grey) or ``RGB``, upright, on black where it is transparent, or deep.

    Args:
        content: the bytes of the file.
        name: of the file, for the message.

    Raises:
        InputError: it is no picture, cut off, too large, of several frames, or has floating-point pixels.
    """
    too_large = InputError(f"{name}: more than {MAX_PIXELS:,} pixels; make it smaller or remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are accepted here
            if is_dicom(content[:132]):
                return read_dicom(content, MAX_PIXELS, MAX_SIDE)
            Image.init()  # Image.open loads no plugin for a format that is asked for by name
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height <= MAX_PIXELS:
                return _upright(image)
    except Image.DecompressionBombError as error:
        raise too_large from error
    except Image.UnidentifiedImageError as error:
        if content[:4] in (b"II*\0", b"MM\0*"):
            raise InputError(f"{name}: a TIFF of a kind that is not read; save it as PNG") from error
        raise InputError(f"{name}: no picture; replace or remove it ({READ})") from error
    except Exception as error:  # on broken bytes a decoder raises nearly anything
        raise InputError(f"{name}: it cannot be decoded: {error}; replace or remove it ({READ})") from error
    raise too_large


def _upright(image: Image.Image) -> Image.Image | DeepPicture:
    if max(image.size) > MAX_SIDE:
        raise ValueError(f"a side of more than {MAX_SIDE:,} pixels")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # the further frames of a telephone's JPEG are previews
        raise ValueError(f"a file of {frames} frames; save the one you mean")
    white_is_zero = getattr(image, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == 0
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known white; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("levels beyond 16 bits; save it with 8 or 16 bits")
        return DeepPicture(levels.astype(np.uint16), white_is_zero)
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image.convert(mode)


def read_picture(content: bytes, name: str) -> Image.Image:
    """Decode a picture to 8 bits, mode ``L`` or ``RGB``; one of 16 bits by its own white.

    Args:
        content: the bytes of the file.
        name: of the file, for the message.

    Raises:
        InputError: as :func:`decode`.
    """
    picture = decode(content, name)
    return picture.eight_bits(picture.white) if isinstance(picture, DeepPicture) else picture


def grey_square(image: Image.Image, size: int, pad: bool = False) -> "Tensor":
    """A picture as a square, grey (ITU-R 601), resized with antialiasing.

    Args:
        image: of mode ``L`` or ``RGB``.
        size: of the square, pixels.
        pad: the whole picture between black borders; else its middle square.

    Returns:
        (1, size, size), uint8.
    """
    import torch
    from torchvision.transforms.v2 import functional

    rows = max(1, STRIP // image.width)
    strips = functional.pil_to_tensor(image).split(rows, dim=1)  # one, but for huge pictures
    floats = (functional.to_dtype(strip, torch.float32) for strip in strips)  # no rounding between the steps
    picture = torch.cat([functional.rgb_to_grayscale(strip) for strip in floats], dim=1)
    side = max(image.size) if pad else min(image.size)
    picture = functional.center_crop(picture, [side])  # fills with 0 where the picture ends
    picture = functional.resize(picture, [size, size], antialias=True)
    return picture.round().clamp(0, 255).to(torch.uint8)
