"""Grey and colour pictures out of DICOM files, as a viewer first shows them (DICOM PS3.3 C.11)."""

import io
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pydicom import Dataset

FAR = 1e9  # beyond all levels: what a window makes black, or white
DEEPEST = 6  # bytes of a pixel: three colours of 16 bits


def is_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of DICOM."""
    return head[128:132] == b"DICM"


def read_dicom(content: bytes, max_pixels: int, max_side: int) -> Image.Image:
    """Decode the one frame of a DICOM file.

    Returns:
        Mode ``L``, black to white after modality LUT, VOI LUT or the first window, and polarity; or ``RGB``.

    Raises:
        ValueError: it has no picture, several, or too large a one.
        Exception: whatever pydicom raises on broken files and missing decoders.
    """
    import pydicom
    from pydicom.pixels import apply_color_lut, pixel_array

    _check_deflated(content, DEEPEST * max_pixels)
    dataset = pydicom.dcmread(io.BytesIO(content))
    if "PixelData" not in dataset:
        raise ValueError("DICOM without a picture")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"DICOM of {dataset.NumberOfFrames} frames; save the one you mean")
    if dataset.Rows * dataset.Columns > max_pixels or max(dataset.Rows, dataset.Columns) > max_side:
        raise ValueError(f"more than {max_pixels:,} pixels, or more than {max_side:,} of a side")
    stored = pixel_array(dataset)  # colour comes as RGB
    if dataset.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2"):
        return _eight_bits(_brightness(stored, dataset))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(stored, dataset)
        return _eight_bits(colours[..., :3] / np.iinfo(colours.dtype).max)
    return _eight_bits(stored / (2**dataset.BitsStored - 1))


def _check_deflated(content: bytes, most: int) -> None:
    """Refuse a file that is deflated as a whole and inflates to more bytes: pydicom would inflate all of it."""
    from pydicom.filereader import read_dataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    stream = io.BytesIO(content[132:])
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != 2)  # never deflated
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(stream.read(), most)
    if inflater.unconsumed_tail:
        raise ValueError(f"it inflates to more than {most:,} bytes")


def _eight_bits(brightness: np.ndarray) -> Image.Image:
    return Image.fromarray(np.round(brightness.clip(0, 1) * 255).astype(np.uint8))


def _brightness(stored: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Stored levels, (H, W), as brightness from 0, black, to 1, white."""
    from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing

    values = apply_modality_lut(stored.astype(np.int64), dataset)
    if dataset.get("VOILUTSequence"):
        table = dataset.VOILUTSequence[0]
        entries, first, bits = table.LUTDescriptor
        table.LUTDescriptor = [entries, first, 16]  # pydicom counts the entries of a table of 8 bits in 8 bits
        values = apply_voi(np.round(values).astype(np.int64), dataset)
        black, white = 0, 2**bits - 1
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        values = apply_windowing(values, dataset)
        black, white = apply_windowing(np.array([-FAR, FAR]), dataset)
    else:
        black, white = sorted(apply_modality_lut(_stored_range(dataset), dataset))
    brightness = (values - black) / (white - black)
    return 1 - brightness if dataset.PhotometricInterpretation == "MONOCHROME1" else brightness


def _stored_range(dataset: "Dataset") -> np.ndarray:
    """Least and largest level that BitsStored can hold, (2,)."""
    levels = 2**dataset.BitsStored
    return np.array([0, levels - 1]) - (levels // 2 if dataset.PixelRepresentation else 0)
