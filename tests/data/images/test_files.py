import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvid.data.images.files import read_head, read_image, scale, turn, turn_back
from medvid.errors import DataError

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (11, 17), np.uint8)
COLOUR = RANDOM.integers(0, 256, (11, 17, 3), np.uint8)
DEEP = RANDOM.integers(0, 65536, (11, 17), np.uint16)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("array", [GRAY, COLOUR])
def test_eight_bit_images_are_read_as_they_were_written(tmp_path, suffix, array):
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a.{suffix}", array), "a"), array)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_gray_keeps_every_bit(tmp_path, suffix):
    image = read_image(save(tmp_path / f"a.{suffix}", DEEP), "a")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, DEEP)


def test_sixteen_bit_colours_are_refused_rather_than_halved(tmp_path):
    pixels = RANDOM.integers(0, 65536, (11, 17, 3), np.uint16)  # Pillow cannot write them
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 17, 11, 16, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match="16 bits per colour"):
        read_image(tmp_path / "a.png", "a")


@pytest.mark.parametrize("bands", [3, 4])
def test_sixteen_bit_colours_of_a_tiff_are_refused_too(tmp_path, bands):
    # Little-endian, one strip: width, height, bits, photometric (RGB), offset, samples per pixel, rows, bytes.
    pixels = RANDOM.integers(0, 65536, (11, 17, bands), np.uint16)
    tags = [
        (256, 4, 1, 17),
        (257, 4, 1, 11),
        (258, 3, bands, 8),
        (262, 3, 1, 2),
        (273, 4, 1, 16 + 16),
        (277, 3, 1, bands),
    ]
    tags += [(278, 4, 1, 11), (279, 4, 1, pixels.nbytes), *([(338, 3, 1, 2)] if bands == 4 else [])]
    content = b"II*\0" + struct.pack("<I", 32 + pixels.nbytes) + struct.pack("<4H", *[16] * 4) + bytes(16)
    content += pixels.tobytes() + struct.pack("<H", len(tags))
    content += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match="16 bits per colour"):
        read_image(tmp_path / "a.tif", "a")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_may_have_white_as_zero(tmp_path, bits):
    array = {8: GRAY, 16: DEEP}[bits]
    path = save(tmp_path / "a.tif", array)
    entry = struct.pack("<HHII", 262, 3, 1, 1)
    assert path.read_bytes().count(entry) == 1
    path.write_bytes(path.read_bytes().replace(entry, struct.pack("<HHII", 262, 3, 1, 0)))
    np.testing.assert_array_equal(read_image(path, "a"), np.iinfo(array.dtype).max - array)
    wide = save(tmp_path / "b.tif", GRAY.astype(np.float32))
    wide.write_bytes(wide.read_bytes().replace(entry, struct.pack("<HHII", 262, 3, 1, 0)))
    with pytest.raises(DataError, match="stores white as 0 in 32 bits"):
        read_image(wide, "b")


def test_colours_for_printing_are_refused(tmp_path):
    for suffix in ("jpg", "tif"):
        with pytest.raises(DataError, match="is in CMYK"):
            read_image(save(tmp_path / f"a.{suffix}", COLOUR, "CMYK"), "a")


def test_an_animation_is_refused_and_a_burst_of_a_camera_is_its_first_picture(tmp_path):
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="has 2 pages"):
        read_image(tmp_path / "a.png", "a")
    smooth = [Image.new("L", (32, 32), value) for value in (40, 200)]
    smooth[0].save(tmp_path / "b.jpg", "MPO", save_all=True, append_images=smooth[1:])
    assert abs(int(read_image(tmp_path / "b.jpg", "b").mean()) - 40) < 2


def test_palette_images_show_their_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    image.putpalette(bytes((10, 20, 30, 255, 0, 0, 0, 0, 255)))
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "a")[0].tolist() == [[10, 20, 30], [255, 0, 0]]


def test_other_kinds_of_pixels(tmp_path):
    alpha = np.dstack([COLOUR, GRAY])
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", alpha), "a"), COLOUR)
    one_bit = read_image(save(tmp_path / "b.png", GRAY > 127), "b")
    np.testing.assert_array_equal(one_bit, (GRAY > 127) * np.uint8(255))
    smooth = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    jpeg = read_image(save(tmp_path / "c.jpg", smooth, quality=95), "c")
    assert np.abs(jpeg.astype(int) - smooth).max() < 10


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_and_turned_back_as_pillow_does(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))
    path = save(tmp_path / f"a.{suffix}", stored, exif=exif)
    upright = read_image(path, "a")
    np.testing.assert_allclose(upright, turn(stored, orientation), atol=3)
    np.testing.assert_array_equal(turn_back(turn(stored, orientation), orientation), stored)
    assert read_head(path) == (upright.shape, 8)


def test_a_photo_is_turned_as_its_orientation_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    upright = read_image(save(tmp_path / "a.png", GRAY, exif=exif), "a")
    np.testing.assert_array_equal(upright, np.rot90(GRAY, -1))


def test_values_are_scaled_by_bit_depth_or_window():
    assert scale(np.array([[0, 255]], np.uint8), 1, None).tolist() == [[[0.0, 1.0]]]
    assert scale(np.array([[0, 65535]], np.uint16), 3, None).tolist() == [[[0.0, 1.0]]] * 3
    assert scale(np.array([[500, 1500, 9000]], np.uint16), 1, (1000.0, 2000.0)).tolist() == [[[0.0, 0.5, 1.0]]]
    gray = scale(COLOUR, 1, None)
    np.testing.assert_allclose(gray[0] * 255, np.asarray(Image.fromarray(COLOUR).convert("L")), atol=1)
    np.testing.assert_allclose(scale(COLOUR, 3, None), np.moveaxis(COLOUR / 255, 2, 0), rtol=1e-6)
    with pytest.raises(ValueError, match="32 bits"):
        scale(np.zeros((2, 2), np.float32), 1, None)


def png() -> bytes:
    content = io.BytesIO()
    Image.fromarray(COLOUR).save(content, "PNG")
    return content.getvalue()


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", r"\(0 bytes\) is not a PNG"),
    "text": (lambda: b"<html>not found</html>", "is not a PNG, TIFF, BMP, JPEG or GIF"),
    "cut": (lambda: png()[: len(png()) // 2], "cannot be read"),
    "damaged": (lambda: png()[:200] + bytes([png()[200] ^ 1]) + png()[201:], "cannot be read"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_unreadable_files_are_named(tmp_path, kind):
    make, reason = BROKEN[kind]
    (tmp_path / "a.png").write_bytes(make())
    with pytest.raises(DataError, match=rf"case a: .*a\.png.*{reason}"):
        read_image(tmp_path / "a.png", "a")


def test_missing_paged_and_infinite_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / "a.png", "a")
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY)]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="has 2 pages"):
        read_image(tmp_path / "b.tif", "b")
    with pytest.raises(DataError, match="NaN"):
        read_image(save(tmp_path / "c.tif", np.full((3, 3), np.nan, np.float32)), "c")
