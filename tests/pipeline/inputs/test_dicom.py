"""DICOM as a viewer shows it: bones bright; values worked out by hand or by the standard's own formula."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless, generate_uid

from pipeline.errors import InputError
from pipeline.inputs.pictures import read_picture

LEVELS = np.array([[0, 100, 200], [300, 400, 1023]], np.uint16)


def dicom(levels: np.ndarray = LEVELS, bits: int = 10, polarity: str = "MONOCHROME2", **cards: object) -> Dataset:
    """A file of computed radiography, as little as the standard allows."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("x", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = levels.shape[:2]
    dataset.SamplesPerPixel = 3 if levels.ndim == 3 else 1
    dataset.PhotometricInterpretation = polarity
    dataset.BitsAllocated = levels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(levels.dtype.kind == "i")
    dataset.PixelData = levels.tobytes()
    for name, value in cards.items():
        setattr(dataset, name, value)
    return dataset


def content(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def seen(dataset: Dataset) -> np.ndarray:
    return np.asarray(read_picture(content(dataset), "x"))


def shown(brightness: np.ndarray) -> np.ndarray:
    return np.round(np.clip(brightness, 0, 1) * 255).astype(np.uint8)


def test_bits_stored_and_polarity() -> None:
    np.testing.assert_array_equal(seen(dicom()), shown(LEVELS / 1023))
    np.testing.assert_array_equal(seen(dicom(polarity="MONOCHROME1")), shown(1 - LEVELS / 1023))
    signed = LEVELS.astype(np.int16) - 512
    np.testing.assert_array_equal(seen(dicom(signed)), shown(LEVELS / 1023))


@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
def test_window(polarity: str) -> None:
    """PS3.3 C.11.2.1.2.1: with centre 250 and width 201, black up to 149.5, white from 349.5."""
    read = seen(dicom(polarity=polarity, WindowCenter=250, WindowWidth=201))
    brightness = (LEVELS - 149.5) / 200.0
    np.testing.assert_array_equal(
        read, shown(1 - np.clip(brightness, 0, 1) if polarity == "MONOCHROME1" else brightness)
    )


@pytest.mark.parametrize(
    ("function", "brightness"),
    [("LINEAR_EXACT", (LEVELS - 250.0) / 200 + 0.5), ("SIGMOID", 1 / (1 + np.exp(-4 * (LEVELS - 250.0) / 200)))],
)
def test_other_windows(function: str, brightness: np.ndarray) -> None:
    read = seen(dicom(WindowCenter=[250, 1], WindowWidth=[200, 2], VOILUTFunction=function))
    assert np.abs(read.astype(int) - shown(brightness)).max() <= 1, "the first of two windows"


def test_rescale_comes_before_the_window() -> None:
    cards = {"RescaleIntercept": -100, "RescaleSlope": 2}
    np.testing.assert_array_equal(
        seen(dicom(WindowCenter=400.5, WindowWidth=401, **cards)), shown((2.0 * LEVELS - 100 - 200) / 400)
    )
    np.testing.assert_array_equal(seen(dicom(**cards)), shown(LEVELS / 1023))
    down = {"RescaleIntercept": 1023, "RescaleSlope": -1}
    np.testing.assert_array_equal(seen(dicom(**down)), shown(1 - LEVELS / 1023))
    np.testing.assert_array_equal(
        seen(dicom(WindowCenter=750.5, WindowWidth=201, **down)), shown((1023.0 - LEVELS - 650) / 200)
    )


@pytest.mark.parametrize("bits", [8, 12])
def test_lookup_table_wins_over_the_window(bits: int) -> None:
    table = Dataset()
    values = np.round(np.linspace(0, 1, 301) ** 2 * (2**bits - 1)).astype(int)
    table.LUTDescriptor = [301, 100, bits]  # from level 100
    table.add_new(0x00283006, "US", values.tolist())
    read = seen(dicom(VOILUTSequence=[table], WindowCenter=1, WindowWidth=2))
    np.testing.assert_array_equal(read, shown(values[np.clip(LEVELS.astype(int) - 100, 0, 300)] / (2**bits - 1)))


def test_colour() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 9
    np.testing.assert_array_equal(seen(dicom(pixels, 8, "RGB", PlanarConfiguration=0)), pixels)
    brightness = np.zeros((2, 3, 3), np.uint8) + np.array([90, 128, 128], np.uint8)
    assert np.all(seen(dicom(brightness, 8, "YBR_FULL", PlanarConfiguration=0)) == 90)
    palette = dicom(np.array([[0, 1]], np.uint8), 8, "PALETTE COLOR")
    for tag, (low, high) in zip(("Red", "Green", "Blue"), ((0, 65535), (0, 0), (65535, 0)), strict=True):
        setattr(palette, f"{tag}PaletteColorLookupTableDescriptor", [2, 0, 16])
        setattr(palette, f"{tag}PaletteColorLookupTableData", np.array([low, high], "<u2").tobytes())
    np.testing.assert_array_equal(seen(palette), [[[0, 0, 255], [255, 0, 0]]])


def test_compressed() -> None:
    dataset = dicom()
    dataset.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(seen(dataset), shown(LEVELS / 1023))


def deflated(**cards: object) -> bytes:
    dataset = dicom(**cards)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return content(dataset)


def test_deflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It inflates as far as a picture of the largest size, and no further, before pydicom sees it."""
    np.testing.assert_array_equal(np.asarray(read_picture(deflated(), "a.dcm")), shown(LEVELS / 1023))
    monkeypatch.setattr("pipeline.inputs.pictures.MAX_PIXELS", 10_000)
    assert read_picture(deflated(TextValue="x" * 50_000), "a.dcm").size == (3, 2)
    monkeypatch.setattr(pydicom, "dcmread", None)
    with pytest.raises(InputError, match=r"a\.dcm: .*inflates to more than 60,000 bytes"):
        read_picture(deflated(TextValue="x" * 60_000), "a.dcm")


def refused() -> list[tuple[bytes, str]]:
    without = dicom()
    del without.PixelData
    lossless = dicom()
    lossless.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    lossless.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    return [
        (content(without), "without a picture"),
        (content(dicom(np.stack([LEVELS, LEVELS]).reshape(4, 3), NumberOfFrames=2, Rows=2)), "2 frames"),
        (content(dicom(Rows=60000, Columns=60000)), "pixels"),
        (content(dicom())[:-4], "cannot be decoded"),
        (b"\0" * 128 + b"DICM", "DICOM without a picture|cannot be decoded"),
        (content(lossless), "cannot be decoded.*JPEG Lossless"),
    ]


@pytest.mark.parametrize(("broken", "words"), refused())
def test_refused(broken: bytes, words: str) -> None:
    with pytest.raises(InputError, match=f"a.dcm: .*(?:{words})"):
        read_picture(broken, "a.dcm")


def test_real_radiographs(real_data: Path) -> None:
    """Both are MONOCHROME1 with a window; the oracle is pydicom's stored levels and the window by hand."""
    for name, centre, width in (("cr_mono1_10_chest", 550, 1024), ("rg1_j2ki", 15000, 30000)):
        path = real_data / f"radiographs/{name}.dcm"
        stored = pydicom.dcmread(path).pixel_array.astype(float)
        brightness = 1 - np.clip((stored - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
        read = np.asarray(read_picture(path.read_bytes(), name)).astype(int)
        assert np.abs(read - shown(brightness)).max() <= 1
        rows, columns = read.shape
        spine = read[rows // 3 : rows // 2, columns * 12 // 25 : columns * 13 // 25].mean()
        lung = read[rows // 4 : rows // 3, columns // 4 : columns // 3].mean()
        assert spine > lung + 30, "bones bright, lungs dark"
