"""Masks as people store them: read right, or refused by name with what to say."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw, ImageFilter
from pydantic import ValidationError

from medvid.data.images.masks import read_mask, unite
from medvid.data.images.options import ImageDatasetOptions
from medvid.data.images.writing import write_mask
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN

RANDOM = np.random.default_rng(0)
SHAPE = (40, 60)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]
DISC = np.hypot(ROWS - 18, COLUMNS - 22) < 11
SPOT = np.hypot(ROWS - 30, COLUMNS - 50) < 5
THREE = (DISC + 2 * SPOT).astype(np.uint8)
NAMES = ("background", "organ", "tumour")
COLOURS = {"background": (0, 0, 0), "organ": (200, 30, 30), "tumour": (20, 30, 220)}


def options(values: str = "binary", labels: tuple[str, ...] = ("background", "lesion"), **other) -> ImageDatasetOptions:
    return ImageDatasetOptions(name="image_masks", root=Path("x"), mask_values=values, labels=labels, **other)


INDEXED = options("indexed", NAMES)
BY_COLOUR = options("colours", NAMES, mask_colours=COLOURS)


def save(path: Path, array: np.ndarray, **keywords: object) -> Path:
    Image.fromarray(array).save(path, **keywords)
    return path


def save_palette(path: Path, indices: np.ndarray, *colours: tuple[int, int, int], **keywords: object) -> Path:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(np.array(colours, np.uint8).tobytes())
    image.save(path, **keywords)
    return path


def painted(labels: np.ndarray, colours=COLOURS) -> np.ndarray:
    return np.array(list(colours.values()), np.uint8)[labels]


def layered(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([colour, alpha * np.uint8(255)])


def save_tiff(path: Path, array: np.ndarray, sample_format: int) -> Path:
    """An uncompressed gray TIFF, also of kinds that Pillow does not write."""
    (height, width), data = array.shape, array.astype(array.dtype.newbyteorder("<")).tobytes()
    tags = {256: width, 257: height, 258: 8 * array.itemsize, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    tags |= {279: len(data), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    path.write_bytes(head + data + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path


def read(path: Path, chosen: ImageDatasetOptions | None = None) -> np.ndarray:
    return read_mask(path, "a", chosen or options()).labels


def test_black_and_white_masks_in_all_their_disguises(tmp_path):
    white = DISC * np.uint8(255)
    rgb = np.dstack([white] * 3)
    files = [
        save(tmp_path / "gray.png", white),
        save(tmp_path / "bit.png", DISC),
        save(tmp_path / "bit.tif", DISC, compression="group4"),  # white is zero
        save(tmp_path / "bit.bmp", DISC),
        save(tmp_path / "colour.bmp", rgb),
        save(tmp_path / "deep.tif", DISC * np.uint16(65535)),
        save(tmp_path / "wide.tif", DISC * np.int32(255)),
        save(tmp_path / "real.tif", DISC * np.float32(255)),
        save(tmp_path / "opaque.png", layered(rgb, np.ones(SHAPE, np.uint8))),
        save(tmp_path / "on_nothing.png", layered(rgb, DISC)),
        save(tmp_path / "gray_on_nothing.png", layered(white, DISC)),
        save_palette(tmp_path / "palette.png", DISC, (0, 0, 0), (255, 255, 255)),
        save_palette(tmp_path / "turned.png", ~DISC, (255, 255, 255), (0, 0, 0)),
        save_palette(tmp_path / "turned.bmp", ~DISC, (255, 255, 255), (0, 0, 0)),
        save_palette(tmp_path / "turned.tif", ~DISC, (255, 255, 255), (0, 0, 0)),
    ]
    for file in files:
        found = read_mask(file, "a", options())
        np.testing.assert_array_equal(found.labels, DISC, err_msg=file.name)
        assert found.edges == 0


@pytest.mark.parametrize("method", list(Image.Quantize)[:3])
def test_quantised_masks_are_read_by_their_colours_whatever_the_order(tmp_path, method):
    image = Image.fromarray(np.dstack([DISC * np.uint8(255)] * 3))
    for number, reduced in enumerate([image.quantize(2, method), image.convert("P", palette=Image.Palette.ADAPTIVE)]):
        reduced.save(tmp_path / f"{number}.png")
        np.testing.assert_array_equal(read(tmp_path / f"{number}.png"), DISC)


def smooth_mask(size: int = 200) -> Image.Image:
    """A drawn lesion with soft edges, four times reduced."""
    large = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(large).ellipse((size, size, 3 * size, 2 * size), fill=255)
    ImageDraw.Draw(large).polygon([(100, 100), (300, 120), (200, 400)], fill=255)
    return large.resize((size, size), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("quality", [None, 95, 75, 50, 25])
def test_soft_edges_and_the_noise_of_jpeg_are_cut_in_the_middle_and_counted(tmp_path, quality):
    mask = smooth_mask()
    path = tmp_path / ("a.png" if quality is None else "a.jpg")
    mask.save(path, **({} if quality is None else {"quality": quality}))
    found = read_mask(path, "a", options())
    truth = np.asarray(mask) > 127
    assert (found.labels != truth).mean() < 0.003
    assert 300 < found.edges < 4000


@pytest.mark.parametrize("quality", [95, 75, 50])
def test_a_png_made_of_a_jpeg_is_read_as_that(tmp_path, quality):
    content = io.BytesIO()
    smooth_mask().save(content, "JPEG", quality=quality)
    save(tmp_path / "a.png", np.asarray(Image.open(content)))
    assert (read(tmp_path / "a.png") != (np.asarray(smooth_mask()) > 127)).mean() < 0.003


UNCLEAR = {
    "0, 127, 255": (DISC * np.uint8(127) + SPOT * np.uint8(255), r"127 \(373 px\)"),
    "0, 128, 255": (DISC * np.uint8(128) + SPOT * np.uint8(255), r"128 \(373 px\)"),
    "0, 1, 255": (DISC * np.uint8(1) + SPOT * np.uint8(255), r"1 \(373 px\)"),
    "0, 1": (DISC.astype(np.uint8), r"1 \(373 px\)"),
    "0, 2": (DISC * np.uint8(2), r"2 \(373 px\)"),
    "0, 200": (DISC * np.uint8(200), r"200 \(\d+ px\)"),
    "numbered instances": (THREE * np.uint8(90), r"90 \(373 px\), 180 \(\d+ px\)"),
    "numbered instances of 16 bits": (THREE.astype(np.uint16), r"1 \(373 px\), 2 \(\d+ px\)"),
    "16 bits, 0 and 255": (DISC * np.uint16(255), r"255 \(373 px\)"),
    "a fraction": (DISC * np.float32(1), r"1 \(373 px\)"),
    "a negative value": (DISC * np.int32(-1), r"-1 \(373 px\)"),
    "small instances": (
        np.kron(np.arange(24).reshape(4, 6) * 11, np.pad(np.ones((5, 5), int), 2)).astype(np.uint8),
        "11",
    ),
    "two colours": (painted(DISC * 1, {"a": (30, 30, 200), "b": (200, 30, 30)}), r"\[30, 30, 200\]"),
    "dark red on black": (painted(DISC * 1, {"a": (0, 0, 0), "b": (128, 0, 0)}), r"\[128, 0, 0\] \(373 px\)"),
    "nearly black blue": (painted(DISC * 1, {"a": (0, 0, 0), "b": (0, 0, 1)}), r"\[0, 0, 1\] \(373 px\)"),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_what_is_neither_black_nor_white_is_refused_with_its_values(tmp_path, kind):
    array, values = UNCLEAR[kind]
    path = save(tmp_path / "a.tif", array)
    with pytest.raises(DataError, match=rf"case a: mask .*a\.tif is neither black nor white .*{values}") as caught:
        read(path)
    assert "mask_values: nonzero" in caught.value.hint


def test_a_threshold_that_the_task_gives_is_taken_at_its_word(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 127, 128, 255]], np.uint8))
    found = read_mask(path, "a", options(threshold=127))
    assert (found.labels.tolist(), found.edges) == ([[0, 0, 1, 1]], 2)
    with pytest.raises(DataError, match="values up to 1 of 255, none above the threshold 127"):
        read(save(tmp_path / "b.png", DISC.astype(np.uint8)), options(threshold=127))
    deep = save(tmp_path / "c.tif", np.array([[0, 25600, 65535]], np.uint16))
    assert read(deep, options(threshold=99)).tolist() == [[0, 1, 1]]


def test_empty_and_full_masks_are_masks(tmp_path):
    for value in (0, 255):
        for suffix in ("png", "jpg"):
            path = save(tmp_path / f"{value}.{suffix}", np.full(SHAPE, value, np.uint8))
            assert (read(path) == value // 255).all()
    assert not read(save(tmp_path / "nothing.png", np.zeros((*SHAPE, 4), np.uint8))).any()


@pytest.mark.parametrize("values", ["binary", "nonzero", "indexed", "colours"])
def test_a_mask_that_is_in_its_transparency_is_refused(tmp_path, values):
    chosen = {"indexed": INDEXED, "colours": BY_COLOUR}.get(values) or options(values)
    for name, colour in (("black", 0), ("white", 255), ("noise", RANDOM.integers(1, 255, SHAPE))):
        path = save(tmp_path / f"{name}.png", layered(np.full(SHAPE, colour, np.uint8), DISC))
        with pytest.raises(DataError, match="transparent pixels") as caught:
            read(path, chosen)
        assert "-alpha extract" in caught.value.hint
    palette = save_palette(tmp_path / "p.png", DISC, (0, 0, 0), (0, 0, 0), transparency=0)
    if values != "indexed":  # of which the indices are labels, however they look
        with pytest.raises(DataError, match="transparent pixels"):
            read(palette, chosen)


@pytest.mark.parametrize("make", [np.uint8, np.uint16, np.int32, np.float32])
def test_all_but_black_is_foreground_if_asked_for(tmp_path, make):
    instances = (DISC * 1 + SPOT * 213).astype(make)
    np.testing.assert_array_equal(read(save(tmp_path / "a.tif", instances), options("nonzero")), DISC | SPOT)
    coloured = save(tmp_path / "b.png", painted(THREE))
    np.testing.assert_array_equal(read(coloured, options("nonzero")), DISC | SPOT)
    palette = save_palette(tmp_path / "c.png", THREE, (255, 255, 255), (0, 0, 0), (255, 0, 0))
    with pytest.raises(DataError, match="nonzero indices and non-black colours are different pixels"):
        read(palette, options("nonzero"))


@pytest.mark.parametrize("make", [np.uint8, np.uint16, np.int32, np.float32])
def test_gray_values_are_label_ids(tmp_path, make):
    np.testing.assert_array_equal(read(save(tmp_path / "a.tif", THREE.astype(make)), INDEXED), THREE)
    np.testing.assert_array_equal(read(save(tmp_path / "b.png", np.dstack([THREE] * 3)), INDEXED), THREE)
    np.testing.assert_array_equal(read(save(tmp_path / "c.png", DISC), INDEXED), DISC)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palette_indices_are_label_ids_and_come_with_their_colours(tmp_path, bits):
    found = read_mask(save_palette(tmp_path / "a.png", DISC, *COLOURS.values(), bits=bits), "a", INDEXED)
    np.testing.assert_array_equal(found.labels, DISC)
    assert [found.palette[index] for index in range(2)] == [(0, 0, 0), (200, 30, 30)]
    grays = save_palette(tmp_path / "b.png", THREE, (0, 0, 0), (2, 2, 2), (1, 1, 1))
    with pytest.raises(DataError, match="gray values and indices are different"):
        read(grays, INDEXED)


def test_gray_values_of_few_bits_are_not_stretched(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = zlib.compress(b"\0" + bytes([0b00011011]))  # 0, 1, 2, 3 in 2 bits each
    header = struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    )
    assert read(tmp_path / "a.png", options("indexed", ("0", "1", "2", "3"))).tolist() == [[0, 1, 2, 3]]


def test_label_ids_out_of_range_are_named_and_counted(tmp_path):
    labels = np.zeros((4, 5), np.uint8)
    labels[0, :2], labels[1, 0] = 255, 7
    with pytest.raises(
        DataError, match=r"the values 7 \(1 px\), 255 \(2 px\); the data set declares the labels 0\.\.2"
    ):
        read(save(tmp_path / "a.png", labels), INDEXED)
    with pytest.raises(DataError, match=r"0\.5 \(1 px\)"):
        read(save(tmp_path / "b.tif", np.array([[0, 0.5]], np.float32)), INDEXED)
    with pytest.raises(DataError, match="is a colour image"):
        read(save(tmp_path / "c.png", painted(THREE)), INDEXED)


def test_colours_are_labels_if_the_task_says_which(tmp_path):
    files = [
        save(tmp_path / "a.png", painted(THREE)),
        save_palette(tmp_path / "b.png", (THREE + 1) % 3, (20, 30, 220), (0, 0, 0), (200, 30, 30)),
        save_palette(tmp_path / "c.bmp", (THREE + 2) % 3, (200, 30, 30), (20, 30, 220), (0, 0, 0)),
    ]
    for file in files:
        np.testing.assert_array_equal(read(file, BY_COLOUR), THREE, err_msg=file.name)
    other = painted(THREE)
    other[0, 0] = 200, 30, 31
    with pytest.raises(DataError, match=r"does not name: \[200, 30, 31\] \(1 px\)"):
        read(save(tmp_path / "d.png", other), BY_COLOUR)


@pytest.mark.parametrize("chosen", [INDEXED, BY_COLOUR, options("nonzero")])
def test_a_jpeg_has_no_exact_values(tmp_path, chosen):
    with pytest.raises(DataError, match="is a JPEG, which changes values"):
        read(save(tmp_path / "a.jpg", THREE), chosen)
    if chosen is not BY_COLOUR:
        with pytest.raises(DataError, match="is a JPEG"):
            read(save(tmp_path / "a.tif", THREE, compression="jpeg"), chosen)


@settings(max_examples=60, deadline=None)
@given(
    labels=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2)),
    order=st.permutations(range(3)),
    suffix=st.sampled_from(["png", "bmp", "tif"]),
)
def test_no_order_of_a_palette_changes_what_colours_say(tmp_path_factory, labels, order, suffix):
    folder = tmp_path_factory.mktemp("palette")
    colours = list(COLOURS.values())
    indices = np.argsort(order).astype(np.uint8)[labels]
    path = save_palette(folder / f"a.{suffix}", indices, *(colours[label] for label in order))
    np.testing.assert_array_equal(read(path, BY_COLOUR), labels)
    two = np.array(((0, 0, 0), (255, 255, 255), (255, 255, 255)))[list(order)]
    path = save_palette(folder / f"b.{suffix}", indices, *map(tuple, two))
    np.testing.assert_array_equal(read(path), labels > 0)


@settings(max_examples=60, deadline=None)
@given(
    mask=arrays.arrays(np.uint8, (12, 12), elements=st.sampled_from([0, 0, 0, 1, 2, 100, 127, 128, 200, 255])),
)
def test_no_pixel_is_dropped_in_silence(tmp_path_factory, mask):
    path = save(tmp_path_factory.mktemp("mask") / "a.png", mask)
    try:
        found = read_mask(path, "a", options())
    except DataError:
        assert set(np.unique(mask)) - {0, 255}
    else:
        assert (found.labels == (mask > 127)).all()
        assert found.edges == ((mask > 0) & (mask < 240)).sum()


@pytest.mark.parametrize("sigma", [1, 2])
def test_a_blurred_mask_has_wide_edges(tmp_path, sigma):
    soft = Image.fromarray(DISC * np.uint8(255)).filter(ImageFilter.GaussianBlur(sigma))
    soft.save(tmp_path / "a.png")
    found = read_mask(tmp_path / "a.png", "a", options())
    assert (found.labels != DISC).mean() < 0.02
    assert found.edges > 100


@pytest.mark.parametrize("count", [2, 3, 200])
def test_a_written_mask_is_read_back_and_has_colours(tmp_path, count):
    labels = (np.arange(11 * 17, dtype=np.uint8) % count).reshape(11, 17)
    write_mask(tmp_path / "new" / "a.png", labels, count)
    names = tuple(map(str, range(count)))
    np.testing.assert_array_equal(read(tmp_path / "new" / "a.png", options("indexed", names)), labels)
    shown = np.asarray(Image.open(tmp_path / "new" / "a.png").convert("RGB"))
    assert shown[labels == 1][0].tolist() == ([255, 255, 255] if count == 2 else [0xE6, 0x19, 0x4B])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
    if count == 2:
        np.testing.assert_array_equal(read(tmp_path / "new" / "a.png"), labels)


@pytest.mark.parametrize(
    ("values", "other", "reason"),
    [
        ("colours", {}, "need each other"),
        ("indexed", {"mask_colours": COLOURS}, "need each other"),
        ("colours", {"mask_colours": {"background": (0, 0, 0)}}, "each of the labels"),
        ("colours", {"mask_colours": {**COLOURS, "tumour": (0, 0, 0)}}, "two labels the same colour"),
        ("indexed", {"threshold": 3}, "threshold is for binary masks"),
        ("nonzero", {}, "there are 3 labels"),
    ],
)
def test_mask_options_that_contradict_each_other(values, other, reason):
    with pytest.raises(ValidationError, match=reason):
        options(values, NAMES, **other)


@pytest.mark.parametrize(("kind", "sample_format"), [("i1", 2), ("i2", 2), ("i4", 2), ("f4", 3)])
def test_negative_values_are_not_taken_for_others(tmp_path, kind, sample_format):
    path = save_tiff(tmp_path / "a.tif", np.where(DISC, 3, np.where(SPOT, -1, 0)).astype(kind), sample_format)
    for values in ("binary", "nonzero", "indexed"):
        with pytest.raises(DataError, match=r"-1|below 0|signed"):
            read(path, options(values))


@pytest.mark.parametrize(("kind", "sample_format"), [("u1", 1), ("i2", 2), ("u2", 1), ("i4", 2), ("u4", 1), ("f4", 3)])
def test_numbered_instances_in_any_kind_of_tiff(tmp_path, kind, sample_format):
    path = save_tiff(tmp_path / "a.tif", (THREE * 40).astype(kind), sample_format)
    np.testing.assert_array_equal(read(path, options("nonzero")), THREE > 0)


def test_numbers_that_pillow_cannot_hold_are_refused(tmp_path):
    with pytest.raises(DataError, match="unsigned values of 32 bits"):
        read(save_tiff(tmp_path / "a.tif", THREE.astype("u4") << 31, 1), options("nonzero"))


def test_a_gif_is_read_and_an_animation_is_refused(tmp_path):
    path = tmp_path / "a.gif"
    Image.fromarray(DISC * np.uint8(255)).save(path)
    np.testing.assert_array_equal(read(path), DISC)
    frames = [Image.fromarray(mask * np.uint8(255)) for mask in (DISC, SPOT)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="2 pages"):
        read(path)


UNANNOTATED = (ROWS > 30) & (COLUMNS > 10)


@pytest.mark.parametrize(
    ("chosen", "image"),
    [
        (options("indexed", NAMES, ignore=255), np.where(UNANNOTATED, np.uint8(255), THREE)),
        (options("indexed", NAMES, ignore=300), np.where(UNANNOTATED, np.uint16(300), THREE)),
        (
            options("colours", NAMES, mask_colours=COLOURS, ignore=(224, 224, 192)),
            np.where(UNANNOTATED[..., None], np.array([224, 224, 192], np.uint8), painted(THREE)),
        ),
        (options("binary", ignore=128), np.where(UNANNOTATED, np.uint8(128), (THREE > 0) * np.uint8(255))),
        (options("nonzero", ignore=(7, 7, 7)), np.where(UNANNOTATED, np.uint8(7), THREE * np.uint8(20))),
    ],
)
def test_pixels_that_nobody_annotated_are_unknown(
    chosen: ImageDatasetOptions, image: np.ndarray, tmp_path: Path
) -> None:
    truth = THREE if len(chosen.labels) == 3 else THREE > 0
    path = save(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read(path, chosen), np.where(UNANNOTATED, UNKNOWN, truth.astype(int)))
    without = chosen.model_copy(update={"ignore": None})
    if chosen.mask_values != "nonzero":  # where it is an instance like others
        with pytest.raises(DataError, match=r"a\.png"):
            read(path, without)
    assert (chosen.target_info().has_unknown, without.target_info().has_unknown) == (True, False)


def test_the_index_of_a_palette_marks_them_too(tmp_path: Path) -> None:
    indices = np.where(UNANNOTATED, 255, THREE)
    path = save_palette(tmp_path / "a.png", indices, *COLOURS.values(), *[(0, 0, 0)] * 252, (224, 224, 192))
    found = read(path, options("indexed", NAMES, ignore=255))
    np.testing.assert_array_equal(found, np.where(UNANNOTATED, UNKNOWN, THREE.astype(int)))
    path = save_palette(tmp_path / "b.png", np.full(SHAPE, 255), *[(0, 0, 0)] * 255, (9, 9, 9))
    assert (read(path, options("indexed", NAMES, ignore=255)) == UNKNOWN).all()


def test_no_value_of_a_jpeg_is_what_nobody_annotated(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", DISC * np.uint8(255), quality=95)
    with pytest.raises(
        DataError, match=r"a\.jpg is a JPEG, which changes values, so none of them can be dataset.ignore"
    ):
        read(path, options(ignore=128))


@pytest.mark.parametrize(
    "chosen",
    [
        {"ignore": 255},
        {"ignore": 0},
        {"ignore": [0, 0, 0], "values": "nonzero"},
        {"ignore": 2, "values": "indexed", "labels": NAMES},
        {"ignore": [1, 2, 3], "values": "indexed", "labels": NAMES},
        {"ignore": [200, 30, 30], "values": "colours", "labels": NAMES, "mask_colours": COLOURS},
        {"ignore": -1},
    ],
)
def test_a_label_cannot_be_what_nobody_annotated(chosen: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="ignore"):
        options(**chosen)


def test_what_one_mask_has_counts_where_another_is_unknown() -> None:
    first, second = np.array([[0, 1, UNKNOWN, UNKNOWN, 0]], np.int16), np.array([[0, 0, 1, 0, UNKNOWN]], np.int16)
    np.testing.assert_array_equal(unite([first, second]), [[0, 1, 1, UNKNOWN, UNKNOWN]])
