"""Decoding: each kind of file keeps its meaning, each broken one is named."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipeline.errors import InputError
from pipeline.inputs.pictures import (
    MAX_PIXELS,
    DeepPicture,
    decode,
    grey_square,
    read_picture,
)

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


def deep(levels: np.ndarray, white_is_zero: bool = False, kind: str = "TIFF") -> DeepPicture:
    options = {"tiffinfo": {262: 0}} if white_is_zero else {}
    picture = decode(encoded(Image.fromarray(levels.astype(np.uint16)), kind, **options), "x")
    assert isinstance(picture, DeepPicture)
    return picture


def test_one_white_for_a_set() -> None:
    """Two pictures of one scanner, one that just reaches 2048 and one that does not, keep their ratio."""
    ramp = np.kron(RAMP, np.ones((2, 2))) / 255
    below, above = deep(ramp * 2047), deep(ramp * 2048)
    assert (below.white, above.white) == (2047, 4095)
    white = max(below.white, above.white)
    medians = [np.median(np.asarray(picture.eight_bits(white))) for picture in (below, above)]
    assert abs(medians[0] - medians[1]) <= 1 and abs(medians[0] - 127 * 2048 / 4095) <= 1


def test_hot_pixels_and_lines_are_not_white() -> None:
    levels = RAMP.astype(np.uint16) * 16
    levels[2, 3] = levels[:, 6] = 65535
    picture = deep(levels)
    assert picture.white == 4095
    seen = np.asarray(picture.eight_bits(picture.white))
    assert seen[2, 3] == 255 and abs(int(seen[4, 1]) - int(RAMP[4, 1])) <= 1
    star = RAMP.astype(np.uint16) * 16
    star[2:4, 3:5] = 65535  # what a telescope has blurred is light
    assert deep(star).white == 65535
    assert deep(np.full((1, 1), 3)).white == 255 and deep(np.full((1, 3), 999)).white == 1023


def tiff(levels: np.ndarray, order: str) -> bytes:
    """A 16-bit TIFF of which 0 is white, written by hand, little or big endian."""
    tags = [(256, 8), (257, 8), (258, 16), (259, 1), (262, 0), (273, 8 + 2 + 12 * 8 + 4), (278, 8), (279, 128)]
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + struct.pack(f"{order}I", 0) + levels.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize("bits", [12, 16])
def test_sixteen_bits_of_which_zero_is_white(bits: int) -> None:
    """Pillow hands out the levels as they stand."""
    levels = np.round((255 - RAMP.astype(float)) / 255 * (2**bits - 1))
    picture = np.asarray(read_picture(tiff(levels, "<"), "x"))
    assert np.abs(picture.astype(int) - RAMP).max() <= 1
    with pytest.raises(InputError, match="x: a TIFF of a kind that is not read; save it as PNG"):
        read_picture(tiff(levels, ">"), "x")


def test_eight_bits_of_which_zero_is_white() -> None:
    content = encoded(Image.fromarray(RAMP), "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(content)).tag_v2[262] == 0
    np.testing.assert_array_equal(np.asarray(read_picture(content, "x")), np.asarray(Image.open(io.BytesIO(content))))


def test_cmyk() -> None:
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 1], ink[..., 3] = 255, 51  # all magenta, a fifth black
    read = np.asarray(read_picture(encoded(Image.fromarray(ink, "CMYK"), "TIFF"), "x"))
    assert np.abs(read[0, 0].astype(int) - (204, 0, 204)).max() <= 1


def test_a_telephone_keeps_a_preview_behind_the_picture() -> None:
    grey = Image.new("RGB", (16, 16), (90, 90, 90))
    content = encoded(grey, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    read = read_picture(content, "x.jpg")
    assert read.size == (16, 16) and read.getpixel((3, 3)) == (90, 90, 90)


def test_gif_and_jfif() -> None:
    read = read_picture(encoded(Image.fromarray(RAMP), "GIF"), "x.gif")
    np.testing.assert_array_equal(np.asarray(read.convert("L")), RAMP)
    assert read_picture(encoded(Image.fromarray(RAMP), "JPEG"), "x.jfif").size == (8, 8)


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
        (encoded(Image.fromarray(RAMP), "GIF", save_all=True, append_images=[Image.new("L", (8, 8))]), "of 2 frames"),
        (encoded(Image.fromarray(RAMP), "TIFF", save_all=True, append_images=[Image.new("L", (8, 8))]), "of 2 frames"),
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


def test_pad_keeps_the_whole_picture_between_black() -> None:
    wide = Image.fromarray(np.full((20, 60), 200, np.uint8))
    square = grey_square(wide, 60, pad=True)[0].numpy()
    assert square.shape == (60, 60) and set(np.unique(square)) == {0, 200}
    assert np.all(square[20:40] == 200) and not square[:20].any() and not square[40:].any()
    tall = grey_square(wide.rotate(90, expand=True), 60, pad=True)[0].numpy()
    np.testing.assert_array_equal(tall, square.T)
    assert grey_square(wide, 60).min() == 200, "cropped without it"
