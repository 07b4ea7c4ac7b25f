"""An image data set from its files to batches and cases."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from medvid.config.evaluation import SegmentationEvaluationOptions
from medvid.config.images import ImageDatasetOptions
from medvid.data.images import ImageDataset
from medvid.errors import DataError
from medvid.evaluation.segmentation import SegmentationEvaluator

PLAIN = {"horizontal_flip": 0.0}


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
    data = dataset(root, size=(24, 40), augment=PLAIN)
    batch = data.sample("a", 0)
    image = np.asarray(Image.open(root / "img" / "a.png"))
    torch.testing.assert_close(batch.input, torch.from_numpy(np.moveaxis(image / 255, 2, 0)[None]).float())
    assert batch.target.dtype == torch.int64
    np.testing.assert_array_equal(batch.target[0], image[..., 0] > 127)
    assert batch.cases == ("a",)
    assert (data.input_info.layout, data.input_info.channels, data.input_info.size) == ("image", 3, (24, 40))
    half = dataset(root, size=(12, 20), channels=1, augment=PLAIN).sample("a", 0)
    assert (half.input.shape, half.target.shape) == ((1, 1, 12, 20), (1, 12, 20))
    assert half.input[0].mean() == pytest.approx(
        np.asarray(Image.open(root / "img" / "a.png").convert("L")).mean() / 255, abs=0.01
    )


AUGMENT = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "rotate90": 0.5,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "hue": 0.1,
}


def test_the_same_seed_gives_the_same_sample_in_any_process(root):
    data = dataset(root, size=(32, 32), crop=(20, 20), augment={**AUGMENT, "rotation": 30})
    state = torch.get_rng_state()
    first = data.sample("a", 7)
    torch.rand(5)
    again = pickle.loads(pickle.dumps(data)).sample("a", 7)
    assert torch.equal(first.input, again.input)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.input, data.sample("a", 8).input)
    torch.set_rng_state(state)
    expected = torch.rand(3)
    torch.set_rng_state(state)
    data.sample("a", 9)
    assert torch.equal(torch.rand(3), expected)  # the global state was left alone


def test_image_and_mask_are_changed_alike(tmp_path):
    values = np.random.default_rng(0).permutation(24 * 24).astype(np.uint16).reshape(24, 24)  # all different
    for folder, array in (("img", values), ("labelcol", (values % 2 * 255).astype(np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    options = {"channels": 1, "size": None, "crop": (16, 16), "window": (0, 24 * 24)}
    data = dataset(tmp_path, augment={"vertical_flip": 0.5, "rotate90": 0.5}, **options)
    seen = set()
    for seed in range(12):
        batch = data.sample("a", seed)
        found = (batch.input[0, 0] * 24 * 24).round().long()
        assert torch.equal(found % 2, batch.target[0])
        seen.add(tuple(found.flatten().tolist()))
    assert len(seen) == 12


def test_rotations_keep_label_ids(root):
    batch = dataset(root, augment={"rotation": 40}).sample("a", 3)
    assert set(batch.target.unique().tolist()) <= {0, 1}
    assert (batch.input[0, :, 0, 0] == 0).all()  # what came in from outside
    assert batch.target[0, 0, 0] == 0


def test_sixteen_bit_images_and_indexed_masks(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (10, 12)).astype(np.uint8)
    for name in "ab":
        for folder, array in (("images", labels * np.uint16(1000)), ("masks", labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{name}.png")
    options = {"mask_values": "indexed", "labels": ("background", "one", "two"), "window": (0, 2000), "size": (10, 12)}
    batch = dataset(tmp_path, channels=1, augment=PLAIN, **options).sample("a", 0)
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
    with pytest.raises(DataError, match="names 1 cases that are not there: z"):
        dataset(root, split={"train": ["z"]}).cases("train")
    with pytest.raises(DataError, match="1 cases are both trained on and held out: a"):
        dataset(root, split={"train": ["a", "b"], "test": ["a"]}).cases("train")
    for split, name in (("train", "x"), ("test", "y")):
        write(root, name, folder=split)
    assert dataset(root).cases("test") == ("y",)


def test_preparing_finds_every_unusable_case_at_once(root):
    (root / "img" / "a.png").write_bytes((root / "img" / "a.png").read_bytes()[:300])
    Image.fromarray(np.zeros((24, 41), np.uint8)).save(root / "labelcol" / "b.png")
    Image.fromarray(np.ones((24, 40), np.uint8)).save(root / "labelcol" / "c.png")
    with pytest.raises(DataError, match="3 cases cannot be used") as caught:
        dataset(root).prepare("abcde", nothing)
    message = str(caught.value)
    assert "a.png cannot be read" in message
    assert "b.png has 40 x 24 pixels, its mask b.png 41 x 24" in message
    assert "none above the threshold" in message


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


def test_files_that_change_during_a_run_are_noticed(root):
    data = dataset(root)
    data.prepare("ab", nothing)
    os.utime(root / "labelcol" / "a.png", (1, 1))
    with pytest.raises(DataError, match="case a: its files changed"):
        data.sample("a", 0)
    (root / "labelcol" / "b.png").unlink()
    with pytest.raises(DataError, match=r"case b: .*b\.png cannot be read"):
        data.sample("b", 0)


class Red(torch.nn.Module):
    """Labels pixels that are more red than not."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.stack([0.5 - input[:, 0], input[:, 0] - 0.5], dim=1)


@pytest.mark.parametrize(("size", "crop"), [((24, 40), None), (None, (16, 24)), (None, (32, 32))])
def test_a_case_is_scored_and_predicted_at_the_size_of_its_file(root, tmp_path, size, crop):
    data = dataset(root, size=size, crop=crop)
    scoring = SegmentationEvaluator(SegmentationEvaluationOptions(figures=1), data.input_info, data.target_info)
    rows = scoring.evaluate(Red(), data.case("a"), final=True, folder=tmp_path / "run")
    assert rows[0]["dice"] == 1.0
    assert rows[0]["hd95_px"] == 0.0
    [case] = data.open([root / "img" / "b.png"])
    mask, picture = scoring.predict(Red(), case, tmp_path / "new").files
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
    scoring = SegmentationEvaluator(SegmentationEvaluationOptions(figures=0), data.input_info, data.target_info)
    [row] = scoring.evaluate(Red(), data.case("a"), final=True, folder=tmp_path)
    assert row["dice"] > 0.97
    [prepared] = SegmentationEvaluator(
        SegmentationEvaluationOptions(protocol="unetr", figures=0), data.input_info, data.target_info
    ).evaluate(Red(), data.case("a"), final=True, folder=tmp_path)
    assert prepared["voxels_true"] == data.case("a").prepared_truth().sum() < row["voxels_true"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": None}, "both null"),
        ({"crop": (200, 64)}, "larger than size"),
        ({"labels": ("background", "a", "b")}, "set mask_values: indexed"),
        ({"labels": ("background", "background")}, "different names"),
        ({"window": (5, 5)}, "has to be the lower"),
        ({"size": (64, 32), "augment": {"rotate90": 0.5}}, "needs square inputs"),
    ],
)
def test_options_that_contradict_each_other(options, reason):
    with pytest.raises(ValidationError, match=reason):
        ImageDatasetOptions(name="image_masks", root="x", **options)
