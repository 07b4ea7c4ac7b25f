import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvid.data.image_files import read_image, read_mask, scale, write_mask
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


def test_binary_masks_in_all_their_disguises(tmp_path):
    truth = (GRAY > 127).astype(np.uint8)
    files = [
        save(tmp_path / "gray.png", truth * np.uint8(255)),
        save(tmp_path / "bit.png", truth.astype(bool)),
        save(tmp_path / "colour.bmp", np.dstack([truth * np.uint8(255)] * 3)),
        save(tmp_path / "deep.tif", truth * np.uint16(65535)),
        write_palette(tmp_path / "palette.png", truth, (0, 0, 0, 128, 0, 0)),  # dark red, as PASCAL VOC has it
    ]
    for file in files:
        np.testing.assert_array_equal(read_mask(file, "a", 2, 127), truth, err_msg=file.name)


def write_palette(path: Path, labels: np.ndarray, palette: tuple[int, ...]) -> Path:
    image = Image.fromarray(labels)
    image.putpalette(bytes(palette))
    image.save(path)
    return path


def test_the_threshold_is_the_published_one(tmp_path):
    mask = save(tmp_path / "a.png", np.array([[0, 127, 128, 255]], np.uint8))
    assert read_mask(mask, "a", 2, 127).tolist() == [[0, 0, 1, 1]]


def test_a_mask_of_zeros_and_ones_is_not_taken_for_an_empty_one(tmp_path):
    mask = save(tmp_path / "a.png", (GRAY > 127).astype(np.uint8))
    with pytest.raises(DataError, match=r"case a: .*a\.png has values up to 1 of 255, none above .* 127") as caught:
        read_mask(mask, "a", 2, 127)
    assert "threshold: 0" in caught.value.hint
    np.testing.assert_array_equal(read_mask(mask, "a", 2, 0), GRAY > 127)
    assert not read_mask(save(tmp_path / "b.png", np.zeros((4, 4), np.uint8)), "b", 2, 127).any()


@pytest.mark.parametrize("make", [np.uint8, np.uint16])
def test_indexed_masks_hold_label_ids(tmp_path, make):
    labels = RANDOM.integers(0, 5, (11, 17)).astype(make)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", labels), "a", 5, None), labels)


def test_label_ids_out_of_range_are_named_and_counted(tmp_path):
    labels = np.zeros((4, 5), np.uint8)
    labels[0, :2], labels[1, 0] = 255, 7
    with pytest.raises(
        DataError, match=r"the values 7 \(1 px\), 255 \(2 px\); the data set declares the labels 0\.\.4"
    ):
        read_mask(save(tmp_path / "a.png", labels), "a", 5, None)
    with pytest.raises(DataError, match="in colours"):
        read_mask(save(tmp_path / "b.png", COLOUR), "b", 5, None)


def test_a_written_mask_is_read_back_and_has_colours(tmp_path):
    labels = RANDOM.integers(0, 256, (11, 17)).astype(np.uint8)
    write_mask(tmp_path / "new" / "a.png", labels)
    np.testing.assert_array_equal(read_mask(tmp_path / "new" / "a.png", "a", 256, None), labels)
    shown = np.asarray(Image.open(tmp_path / "new" / "a.png").convert("RGB"))
    assert shown[labels == 1][0].tolist() == [0xE6, 0x19, 0x4B]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def png() -> bytes:
    content = io.BytesIO()
    Image.fromarray(COLOUR).save(content, "PNG")
    return content.getvalue()


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", r"\(0 bytes\) is no PNG"),
    "text": (lambda: b"<html>not found</html>", "is no PNG, TIFF, BMP or JPEG"),
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
