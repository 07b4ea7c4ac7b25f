"""An image data set from its files to batches and cases."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from pydantic import ValidationError

from medvid.data.images.dataset import ImageDataset
from medvid.data.images.files import turn, turn_back
from medvid.data.images.options import ImageDatasetOptions
from medvid.data.images.writing import write_mask
from medvid.data.transforms.colour import ColorJitter
from medvid.data.transforms.geometry import HorizontalFlip, Rotate90, Rotation, VerticalFlip
from medvid.data.transforms.options import (
    ColorJitterOptions,
    HorizontalFlipOptions,
    Rotate90Options,
    RotationOptions,
    VerticalFlipOptions,
)
from medvid.data.transforms.scan_options import SpatialOptions
from medvid.data.transforms.spatial import Spatial
from medvid.errors import DataError
from medvid.plugin.host import make_host
from medvid.testing.evaluation import evaluate_case, make_evaluator, predict_case


def nothing(done: int, total: int) -> None: ...


def write(root: Path, name: str, size: tuple[int, int] = (24, 40), folder: str = "") -> None:
    """A random image, and as its mask where red is above the middle."""
    image = np.random.default_rng(list(name.encode())).integers(0, 256, (*size, 3), np.uint8)
    for kind, array in (("img", image), ("labelcol", (image[..., 0] > 127) * np.uint8(255))):
        path = root / folder / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)


def dataset(root: Path, **options: object) -> ImageDataset:
    return ImageDataset(ImageDatasetOptions(name="image_masks", root=root, **options))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "abcde":
        write(tmp_path, name)
    return tmp_path


def test_a_sample_is_the_resized_image_with_its_mask(root):
    data = dataset(root, size=(24, 40))
    batch = data.draw("a", 0)
    image = np.asarray(Image.open(root / "img" / "a.png"))
    torch.testing.assert_close(batch.input, torch.from_numpy(np.moveaxis(image / 255, 2, 0)[None]).float())
    assert batch.target.dtype == torch.int64
    np.testing.assert_array_equal(batch.target[0], image[..., 0] > 127)
    assert batch.cases == ("a",)
    assert (data.input_info.axes, data.input_info.channels, data.input_info.size) == ("image", 3, (24, 40))
    half = dataset(root, size=(12, 20), channels=1).draw("a", 0)
    assert (half.input.shape, half.target.shape) == ((1, 1, 12, 20), (1, 12, 20))
    assert half.input[0].mean() == pytest.approx(
        np.asarray(Image.open(root / "img" / "a.png").convert("L")).mean() / 255, abs=0.01
    )


CHANGES = (
    HorizontalFlip(HorizontalFlipOptions()),
    VerticalFlip(VerticalFlipOptions()),
    Rotate90(Rotate90Options(probability=0.5)),
    Rotation(RotationOptions(degrees=30)),
    ColorJitter(ColorJitterOptions()),
)


def test_the_same_seed_gives_the_same_sample_in_any_process(root):
    data = dataset(root, size=(32, 32), crop=(20, 20))
    data.transforms = CHANGES
    state = torch.get_rng_state()
    first = data.draw("a", 7)
    torch.rand(5)
    again = pickle.loads(pickle.dumps(data)).draw("a", 7)
    assert torch.equal(first.input, again.input)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.input, data.draw("a", 8).input)
    torch.set_rng_state(state)
    expected = torch.rand(3)
    torch.set_rng_state(state)
    data.draw("a", 9)
    assert torch.equal(torch.rand(3), expected)  # the global state was left alone


def test_image_and_mask_are_changed_alike(tmp_path):
    values = np.random.default_rng(0).permutation(24 * 24).astype(np.uint16).reshape(24, 24)  # all different
    for folder, array in (("img", values), ("labelcol", (values % 2 * 255).astype(np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    options = {"channels": 1, "size": None, "crop": (16, 16), "window": (0, 24 * 24)}
    data = dataset(tmp_path, **options)
    data.transforms = CHANGES[:3]
    seen = set()
    for seed in range(12):
        batch = data.draw("a", seed)
        found = (batch.input[0, 0] * 24 * 24).round().long()
        assert torch.equal(found % 2, batch.target[0])
        seen.add(tuple(found.flatten().tolist()))
    assert len(seen) == 12


def test_a_crop_is_larger_where_it_is_turned_and_reaches_the_rim(root):
    data = dataset(root, size=(24, 40), crop=(12, 12))
    data.transforms = [Spatial(SpatialOptions(rotation_probability=0, scaling_probability=1e-9))]
    whole = dataset(root, size=(24, 40)).draw("a", 0)
    pieces = {piece.numpy().tobytes(): (top, left) for top, left, piece in _pieces(whole.input, 12)}
    drawn = [data.draw("a", seed) for seed in range(60)]
    corners = [pieces[batch.input.numpy().tobytes()] for batch in drawn]
    assert {min(top for top, _ in corners), max(top for top, _ in corners)} == {0, 12}
    for batch, (top, left) in zip(drawn, corners, strict=True):
        assert torch.equal(batch.target, whole.target[:, top : top + 12, left : left + 12])


def _pieces(image: torch.Tensor, size: int):
    for top in range(image.shape[-2] - size + 1):
        for left in range(image.shape[-1] - size + 1):
            yield top, left, image[..., top : top + size, left : left + size].contiguous()


def test_sixteen_bit_images_and_indexed_masks(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (10, 12)).astype(np.uint8)
    for name in "ab":
        for folder, array in (("images", labels * np.uint16(1000)), ("masks", labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{name}.png")
    options = {"mask_values": "indexed", "labels": ("background", "one", "two"), "window": (0, 2000), "size": (10, 12)}
    batch = dataset(tmp_path, channels=1, **options).draw("a", 0)
    torch.testing.assert_close(batch.input[0, 0], torch.from_numpy(labels / 2).float())
    np.testing.assert_array_equal(batch.target[0], labels)


def test_cases_are_held_out_by_folders_by_the_task_or_by_chance(root):
    by_chance = dataset(root, validation_fraction=0.4)
    assert len(by_chance.cases("validation")) == 2
    assert sorted(by_chance.cases("train") + by_chance.cases("validation")) == list("abcde")
    assert dataset(root, validation_fraction=0).cases("train") == tuple("abcde")
    asked = dataset(root, split={"train": ["a", "b"], "test": ["c"]})
    assert (asked.cases("train"), asked.cases("test")) == (("a", "b"), ("c",))
    with pytest.raises(DataError, match="no split 'validation'; it has train, test"):
        asked.cases("validation")
    with pytest.raises(DataError, match="names 1 cases that do not exist: z"):
        dataset(root, split={"train": ["z"]}).cases("train")
    with pytest.raises(DataError, match="1 cases are both trained on and held out: a"):
        dataset(root, split={"train": ["a", "b"], "test": ["a"]}).cases("train")
    for split, name in (("train", "x"), ("test", "y")):
        write(root, name, folder=split)
    assert dataset(root).cases("test") == ("y",)


def test_checking_names_what_is_wrong_case_by_case_and_goes_on(root, caplog):
    caplog.set_level("INFO")
    (root / "img" / "a.png").write_bytes(b"")
    Image.fromarray(np.ones((24, 40), np.uint8)).save(root / "labelcol" / "c.png")
    seen = []
    found = dataset(root).check("abcde", lambda done, total: seen.append((done, total)), workers=2)
    assert list(found) == ["a", "c"]
    assert "(0 bytes) is not a PNG" in str(found["a"])
    assert seen[-1] == (5, 5)
    assert "masks of 3 cases" in caplog.text
    assert "training images are unknown" not in caplog.text
    assert dataset(root).check("abcde", nothing, seconds=0) == {}


def test_preparing_finds_every_unusable_case_at_once(root):
    (root / "img" / "a.png").write_bytes((root / "img" / "a.png").read_bytes()[:300])
    Image.fromarray(np.zeros((24, 41), np.uint8)).save(root / "labelcol" / "b.png")
    Image.fromarray(np.ones((24, 40), np.uint8)).save(root / "labelcol" / "c.png")
    with pytest.raises(DataError, match="3 cases cannot be used") as caught:
        dataset(root).prepare("abcde", nothing)
    message = str(caught.value)
    assert "a.png cannot be read" in message
    assert "b.png has 40 x 24 pixels, its mask b.png 41 x 24" in message
    assert "c.png is neither black nor white in 960 pixels: 1 (960 px)" in message


def test_preparing_counts_and_the_digest_follows_the_content(root):
    seen = []
    data = dataset(root)
    data.prepare("abc", lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    before = data.digest("abc")
    assert before == dataset(root).digest("abc")
    assert before != data.digest("ab")
    write(root, "c", size=(24, 41))
    assert dataset(root).digest("abc") != before


def test_a_held_out_copy_of_a_training_image_is_refused(root):
    (root / "img" / "b.png").write_bytes((root / "img" / "a.png").read_bytes())
    with pytest.raises(DataError, match="held-out cases are copies of training cases: b = a"):
        dataset(root, split={"train": ["a"], "validation": ["b"]}).prepare("ab", nothing)


def test_a_copy_in_another_format_is_one_too(root):
    image = root / "img"
    (image / "b.png").unlink()
    Image.open(image / "a.png").save(image / "b.bmp")
    Image.open(image / "a.png").convert("L").save(image / "c.png")
    Image.open(image / "c.png").convert("RGB").save(image / "d.png", optimize=True)
    prints = {case: dataset(root).fingerprint(case) for case in "abcd"}
    assert prints["a"] == prints["b"] != prints["c"] == prints["d"]
    with pytest.raises(DataError, match="held-out cases are copies of training cases: b = a"):
        dataset(root, split={"train": ["a"], "validation": ["b"]}).prepare("ab", nothing)


def test_what_a_split_of_the_task_leaves_out_or_names_twice_is_told(root, caplog):
    for split in ({"train": ["a", "b", "b"]}, {"train": ["a"], "validation": ["b", "b"]}):
        with pytest.raises(DataError, match="names cases twice: b"):
            dataset(root, split=split).cases("train")
    (root / "img" / "b.png").write_bytes((root / "img" / "a.png").read_bytes())
    dataset(root, split={"train": ["a", "b", "c"], "validation": ["d"]}).prepare("abcd", nothing)
    assert "copies of one image, each of which counts: a = b" in caplog.text
    assert "cases in no split are not used: e" in caplog.text
    for split, name in (("train", "x"), ("train", "w"), ("valid", "y")):
        write(root, name, folder=split)
    assert dataset(root, split={"train": ["x"], "validation": ["w"]}).cases("validation") == ("w",)
    assert "the task replaces splits declared by the data set: train, validation" in caplog.text


def test_test_cases_of_the_folder_stay_unless_the_task_says_otherwise(root):
    for split, name in (("train", "x"), ("train", "y"), ("test", "z")):
        write(root, name, folder=split)
    assert dict(dataset(root).splits) == {"train": ("x", "y"), "test": ("z",)}
    split = {"train": ["x"], "validation": ["y"]}
    assert dataset(root, split=split).cases("test") == ("z",)
    with pytest.raises(DataError, match="has no split 'test'"):
        dataset(root, split={**split, "test": []}).cases("test")


def test_files_that_change_during_a_run_are_noticed(root):
    data = dataset(root)
    data.prepare("ab", nothing)
    os.utime(root / "labelcol" / "a.png", (1, 1))
    with pytest.raises(DataError, match="case a: its files changed"):
        data.draw("a", 0)
    (root / "labelcol" / "b.png").unlink()
    with pytest.raises(DataError, match=r"case b: .*b\.png cannot be read"):
        data.draw("b", 0)


class Red(torch.nn.Module):
    """Labels pixels that are more red than not."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.stack([0.5 - input[:, 0], input[:, 0] - 0.5], dim=1)


@pytest.mark.parametrize(("size", "crop"), [((24, 40), None), (None, (16, 24)), (None, (32, 32))])
def test_a_case_is_scored_and_predicted_at_the_size_of_its_file(root, tmp_path, size, crop):
    data = dataset(root, size=size, crop=crop)
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, figures=1)
    rows = evaluate_case(scoring, Red(), data.open_case("a"), final=True, folder=tmp_path / "run")
    assert rows[0]["dice"] == 1.0
    assert rows[0]["hd95_px"] == 0.0
    [case] = data.open([root / "img" / "b.png"])
    mask, picture = predict_case(scoring, Red(), case, tmp_path / "new").files
    assert (mask.name, picture.name) == ("b_mask.png", "b.png")
    written, image = Image.open(mask), np.asarray(Image.open(root / "img" / "b.png"))
    assert (written.mode, written.size) == ("P", (40, 24))
    np.testing.assert_array_equal(np.asarray(written), image[..., 0] > 127)
    assert picture.stat().st_size > 5000


def test_masks_come_back_at_the_size_of_the_file_from_a_smaller_model(tmp_path):
    disc = np.hypot(*np.ogrid[-30:30:60j, -50:50:100j]) < 20
    for folder in ("img", "labelcol"):
        (tmp_path / folder).mkdir()
        Image.fromarray(disc * np.uint8(255)).save(tmp_path / folder / "a.png")
    data = dataset(tmp_path, size=(32, 32))
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, figures=0)
    [row] = evaluate_case(scoring, Red(), data.open_case("a"), final=True, folder=tmp_path)
    assert row["dice"] > 0.97
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, protocol="unetr", figures=0)
    [prepared] = evaluate_case(scoring, Red(), data.open_case("a"), final=True, folder=tmp_path)
    assert prepared["voxels_true"] == data.open_case("a").prepared_truth().sum() < row["voxels_true"]


def save(
    path: Path, array: np.ndarray, palette: list[tuple[int, int, int]] | None = None, orientation: int = 1
) -> None:
    image, exif = Image.fromarray(array), Image.Exif()
    if palette:
        image.putpalette(np.array(palette, np.uint8).tobytes())
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif)


BLACK, RED, BLUE = (0, 0, 0), (200, 0, 0), (0, 0, 200)
TWO = {"mask_values": "indexed", "labels": ("background", "red", "blue")}


def test_palettes_that_number_labels_differently_are_refused(root, caplog):
    caplog.set_level("INFO")
    labels = np.random.default_rng(0).integers(0, 3, (24, 40)).astype(np.uint8)
    for name in "abcde":
        save(root / "labelcol" / f"{name}.png", labels, [BLACK, RED, BLUE])
    data = dataset(root, **TWO)
    data.prepare("abc", nothing)
    assert data.describe("ab")["palette"] == {"0": [0, 0, 0], "1": [200, 0, 0], "2": [0, 0, 200]}
    save(root / "labelcol" / "d.png", labels, [BLACK, BLUE, RED])
    with pytest.raises(
        DataError, match=r"case d: in the palette of its mask 1 is \[0, 0, 200\], but \[200, 0, 0\] in .* a"
    ):
        dataset(root, **TWO).prepare("abcde", nothing)
    later = dataset(root, **TWO)
    later.remember(json.loads(json.dumps(data.describe("ab"))))
    assert list(later.check("ed", nothing)) == ["d"]
    save(root / "labelcol" / "e.png", np.minimum(labels, 1), [BLACK, BLUE])  # one class is missing, the other moves up
    assert list(dataset(root, **TWO).check("abce", nothing)) == ["e"]
    save(root / "labelcol" / "e.png", np.minimum(labels, 1), [BLACK, RED])
    assert not dataset(root, **TWO).check("abce", nothing)
    assert "palette indices are label ids: background is [0, 0, 0], red is [200, 0, 0], blue is [0, 0" in caplog.text
    save(root / "labelcol" / "e.png", labels, [RED, BLUE, BLACK])
    assert "black is not the background, which is [200, 0, 0]" in str(dataset(root, **TWO).check("e", nothing)["e"])
    colours = {"background": BLACK, "red": RED, "blue": BLUE}
    by_colour = dataset(root, labels=TWO["labels"], mask_values="colours", mask_colours=colours, size=(24, 40))
    by_colour.prepare("abcd", nothing)
    assert by_colour.open_case("a").native_truth().tolist() == labels.tolist()
    assert by_colour.open_case("d").native_truth().tolist() == np.array([0, 2, 1])[labels].tolist()


def test_masks_that_medvid_wrote_are_read_again_though_colours_recur(root):
    count = 40
    for seed, name in enumerate("abc"):
        labels = np.random.default_rng(seed).integers(0, count, (24, 40)).astype(np.uint8)
        write_mask(root / "labelcol" / f"{name}.png", labels, count)
    data = dataset(root, mask_values="indexed", labels=tuple(map(str, range(count))))
    data.prepare("abc", nothing)
    assert data.open_case("c").native_truth().tolist() == labels.tolist()


def test_several_masks_of_one_image_are_united_and_said_so(root, caplog):
    parts = np.zeros((2, 24, 40), np.uint8)
    parts[0, 2:5, 3:9], parts[1, 10:20, 30:35] = 255, 255
    (root / "labelcol" / "a.png").unlink()
    for number, part in enumerate(parts, start=1):
        save(root / "labelcol" / f"a_{number}.png", part)
    data = dataset(root)
    data.prepare("ab", nothing)
    assert data.open_case("a").native_truth().tolist() == (parts.max(axis=0) > 0).tolist()
    assert "1 of 2 cases: several masks are merged: a (2)" in caplog.text
    with pytest.raises(DataError, match=r"case a has several masks: a_1\.png, a_2\.png"):
        dataset(root, **TWO).prepare("a", nothing)


def photo(
    root: Path, orientation: int, mask_orientation: int, *, stored: bool, size: tuple[int, int] = (24, 40)
) -> np.ndarray:
    """A photo with an orientation, and a mask drawn on its pixels as stored or as shown; returns the truth as shown."""
    image = np.random.default_rng(orientation).integers(0, 256, (*size, 3), np.uint8)
    save(root / "img" / "p.png", image, orientation=orientation)
    shown = turn((image[..., 0] > 127) * np.uint8(255), orientation)
    drawn = turn_back(shown, orientation) if stored else shown
    save(root / "labelcol" / "p.png", turn_back(drawn, mask_orientation), orientation=mask_orientation)
    return shown > 0


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_fits_a_turned_photo_or_the_photo_is_refused(root, orientation):
    data = dataset(root)
    for mask_orientation, stored in ((1, True), (1, False), (orientation, False)):
        truth = photo(root, orientation, mask_orientation, stored=stored)
        if orientation < 5 and mask_orientation == 1:  # sizes do not tell
            with pytest.raises(DataError, match="fits the stored or the shown image"):
                data.open_case("p").native_truth()
        else:
            assert data.open_case("p").native_truth().tolist() == truth.tolist()
    photo(root, orientation, 1, stored=True, size=(24, 24))
    with pytest.raises(DataError, match="EXIF orientation"):
        data.open_case("p").native_truth()


def test_what_is_odd_about_images_is_told_once(root, caplog):
    caplog.set_level("INFO")
    save(root / "img" / "a.png", np.full((24, 40, 3), 7, np.uint8))
    save(root / "img" / "b.png", np.random.default_rng(0).integers(0, 256, (24, 40, 4), np.uint8))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, profile in (("d", lab), ("e", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())):
        Image.open(root / "img" / f"{name}.png").save(root / "img" / f"{name}.png", icc_profile=profile)
    for name in "cde":
        save(root / "labelcol" / f"{name}.png", np.full((24, 40), 255 * (name != "c"), np.uint8))
    dataset(root).prepare("abcde", nothing)
    for sentence in (
        "1 of 5 cases: the image has only one colour: a",
        "1 of 5 cases: transparent pixels get the colour that is stored for them: b",
        "1 of 5 cases: values are taken as stored, not converted from the colour profile 'Lab identity built-in': d",
        "1 masks have background only: c",
        "2 masks have no background: d, e",
        "masks of 5 cases: background",
    ):
        assert sentence in caplog.text
    for name in "abcde":
        save(root / "img" / f"{name}.png", np.full((24, 40), 4095 - ord(name) + ord("a"), np.uint16))
    dataset(root).prepare("abcde", nothing)
    assert "no image is brighter than 6.2 %" in caplog.text
    assert "dataset.window: [0, 4095]" in caplog.text


class Blobs(torch.nn.Module):
    """Labels discs of a radius of 6 pixels and nothing else: it knows one scale."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        offsets = torch.arange(-8.0, 9)
        disc = (offsets[:, None] ** 2 + offsets**2 <= 36).float()
        kernel = disc / disc.sum() - (1 - disc) / (1 - disc).sum()
        found = torch.nn.functional.conv2d(input[:, :1], kernel[None, None], padding=8)
        near = torch.nn.functional.conv2d((found > 0.95).float(), disc[None, None], padding=8).clamp(max=1)
        return torch.cat([0.5 - near, near - 0.5], dim=1)


def discs(size: int) -> np.ndarray:
    """Bright discs of a radius of 6 pixels on a grid."""
    rows, columns = np.mgrid[:size, :size] % 32 - 16
    return (rows**2 + columns**2 <= 36) * np.uint8(255)


def test_the_scale_of_training_is_kept_at_prediction(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in "abc":
        save(tmp_path / "img" / f"{name}.png", discs(64) + np.eye(64, k=50 + ord(name) - ord("a"), dtype=np.uint8))
        save(tmp_path / "labelcol" / f"{name}.png", discs(64))
    data = dataset(tmp_path, size=(64, 64), channels=1)
    data.prepare("abc", nothing)
    later = dataset(tmp_path / "elsewhere", size=(64, 64), channels=1)
    later.remember(json.loads(json.dumps(data.describe("abc"))))
    save(tmp_path / "new" / "large.png", discs(256))
    save(tmp_path / "new" / "small.png", discs(32))
    save(tmp_path / "new" / "same.png", discs(64))
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, figures=0)
    for each in (data, later):
        caplog.clear()
        for case in each.open([tmp_path / "new"]):
            [written] = predict_case(scoring, Blobs(), case, tmp_path / "out").files
            truth, found = discs(case.grid.native_shape[0]) > 0, np.asarray(Image.open(written)) > 0
            assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.9
        assert (
            "2 of 3 images differ in size from training images (64 x 64): large (256 x 256), small (32 x 32); they are "
            "resized by the same factor, and inferred in windows of 64 x 64"
        ) in caplog.text
    forgetful = dataset(tmp_path / "elsewhere", size=(64, 64))
    assert next(iter(forgetful.open([tmp_path / "new"]))).grid.prepared_shape == (64, 64)
    assert "the sizes of the training images are unknown" in caplog.text


def test_where_training_had_many_scales_others_are_named(tmp_path, caplog):
    for name, side in (("a", 60), ("b", 90), ("c", 150)):
        write(tmp_path, name, (side, side))
    data = dataset(tmp_path, size=(64, 64), split={"train": ["a", "b", "c"], "validation": ["a", "b", "c"]})
    data.prepare("abc", nothing)
    assert "training images of 60 to 150 x 60 to 150 pixels are all resized to 64 x 64" in caplog.text
    assert "by factors of 0.43 to 1.1 across and 0.43 to 1.1 down" in caplog.text
    for name, side in (("fits", 100), ("not", 600)):
        save(tmp_path / "new" / f"{name}.png", discs(side))
    assert [case.grid.prepared_shape for case in data.open([tmp_path / "new"])] == [(64, 64)] * 2
    assert "1 of 2 images differ in size from training images (60 to 150 x 60 to 150): not (600 x 600)" in caplog.text
    assert "results may be worse" in caplog.text


def test_other_bit_depths_than_those_of_training_are_named(root, caplog):
    data = dataset(root, channels=1)
    data.remember(data.describe("ab"))
    save(root / "new" / "x.png", np.full((24, 40), 4000, np.uint16))
    next(iter(data.open([root / "new"])))
    assert "1 of 1 images have other bit depths than the training images (8 bits): x (16 bits)" in caplog.text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": None}, "both null"),
        ({"crop": (200, 64)}, "larger than size"),
        ({"labels": ("background", "a", "b")}, "set mask_values: indexed or colours"),
        ({"labels": ("background", "background")}, "different names"),
        ({"window": (5, 5)}, "has to be the lower"),
    ],
)
def test_options_that_contradict_each_other(options, reason):
    with pytest.raises(ValidationError, match=reason):
        ImageDatasetOptions(name="image_masks", root="x", **options)
