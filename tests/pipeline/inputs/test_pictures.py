"""Decoding: each kind of file keeps its meaning, each broken one is named."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipeline.errors import InputError
from pipeline.inputs.pictures import MAX_PIXELS, grey_square, read_picture

RAMP = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_formats_keep_grey_and_colour(kind: str) -> None:
    colour = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=-1)
    read = read_picture(encoded(Image.fromarray(colour), kind, lossless=True), "x")
    assert read.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(read), colour)
    if kind != "WEBP":  # which has no grey
        read = read_picture(encoded(Image.fromarray(RAMP), kind), "x")
        assert read.mode == "L"
        np.testing.assert_array_equal(np.asarray(read), RAMP)


def test_jpeg() -> None:
    read = read_picture(encoded(Image.fromarray(RAMP).resize((64, 64)), "JPEG", quality=95), "x")
    assert read.mode == "L" and abs(np.asarray(read)[-1, -1].astype(int) - 255) < 5


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_sixteen_bit_files_of_any_depth(kind: str, bits: int) -> None:
    """A ramp over the full depth of the scanner comes out as the 8-bit ramp, neither black nor clipped."""
    deep = np.round(RAMP / 255 * (2**bits - 1)).astype(np.uint16)
    read = read_picture(encoded(Image.fromarray(deep), kind), "x")
    assert read.mode == "L"
    assert np.abs(np.asarray(read).astype(int) - RAMP).max() <= 1


def test_palette_is_looked_up_and_bits_are_black_and_white() -> None:
    palette = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "P")
    palette.putpalette([value for k in range(256) for value in (255 - k, k, 7)])
    read = np.asarray(read_picture(encoded(palette), "x"))
    np.testing.assert_array_equal(read[0, 5], (250, 5, 7))
    bits = read_picture(encoded(Image.fromarray(RAMP > 99)), "x")
    np.testing.assert_array_equal(np.asarray(bits), np.where(RAMP > 99, 255, 0))


def test_transparent_is_black() -> None:
    alpha = np.full((8, 8), 255, np.uint8)
    alpha[:, :4], alpha[:, 4:6] = 0, 128
    for channels, white in ((1, 255), (3, (255, 255, 255))):
        pixels = np.concatenate([np.full((8, 8, channels), 255, np.uint8), alpha[..., None]], axis=-1)
        read = read_picture(encoded(Image.fromarray(pixels)), "x")
        assert read.mode == ("L" if channels == 1 else "RGB")
        seen = np.asarray(read)
        assert (
            seen[:, :4].max() == 0 and np.all(seen[0, 7] == white) and np.all(np.abs(seen[0, 5].astype(int) - 128) <= 1)
        )
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    assert np.asarray(read_picture(encoded(palette, transparency=1), "x")).max() == 0


def test_camera_held_sideways() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to see it upright
    read = read_picture(encoded(Image.fromarray(RAMP[:4]), "PNG", exif=exif), "x")
    np.testing.assert_array_equal(np.asarray(read), np.rot90(RAMP[:4], -1))


def bomb() -> bytes:
    """A PNG that promises 20000 x 20000 pixels in a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def just_too_large() -> bytes:
    """Beyond our limit, below the one at which Pillow itself refuses."""
    return encoded(Image.new("1", (MAX_PIXELS // 8000 + 1, 8000)))


def swollen_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    return encoded(Image.fromarray(RAMP), pnginfo=info)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no picture"),
        (b"not a picture", "no picture"),
        (encoded(Image.effect_noise((64, 64), 50))[:2000], "cannot be decoded"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:900], "cannot be decoded"),
        (encoded(Image.effect_noise((64, 64), 50), "TIFF")[:2000], "cannot be decoded|no picture"),
        (encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"), "floating-point"),
        (encoded(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"), "beyond 16 bits"),
        (swollen_text(), "cannot be decoded"),
        (bomb(), "pixels; make it smaller"),
        (just_too_large(), "pixels; make it smaller"),
    ],
)
def test_refused(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_picture(content, "folder/a.png")
    assert str(error.value).startswith("folder/a.png: ")


def test_grey_square_is_the_middle_and_grey_by_luminance() -> None:
    wide = np.zeros((50, 90, 3), np.uint8)
    wide[:, 20:70] = (10, 200, 90)
    square = grey_square(Image.fromarray(wide), 50)
    assert square.shape == (1, 50, 50)
    assert set(square.unique().tolist()) == {round(0.299 * 10 + 0.587 * 200 + 0.114 * 90)}


def test_grey_square_does_not_alias() -> None:
    """A checkerboard of single pixels becomes even grey, at any size; its mean is kept."""
    board = Image.fromarray(((np.indices((300, 300)).sum(axis=0) % 2) * 255).astype(np.uint8))
    for size in (10, 50, 77):
        small = grey_square(board, size).float()
        assert (small - 127.5).abs().max() < 4
    noise = Image.effect_noise((256, 256), 60)
    assert abs(float(grey_square(noise, 50).float().mean()) - np.asarray(noise).mean()) < 0.5
