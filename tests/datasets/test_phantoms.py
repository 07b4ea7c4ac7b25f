import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medvid.data.generated import MARKER
from medvid.errors import DataError
from medvid_btcv import phantoms
from medvid_btcv.config import LABELS, PhantomOptions
from medvid_btcv.phantoms import generate, phantom

TINY = PhantomOptions(train=2, validation=1, shape=(40, 32, 20), spacing=(7.8, 7.8, 10.0))
BINS = 128


@pytest.fixture(scope="module")
def cases() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return [phantom(PhantomOptions(), number) for number in range(1, 11)]


def test_every_organ_is_in_every_case_and_large_enough_to_learn(cases) -> None:
    """At 4 mm, where the shipped task trains, a file's voxel is 1.2 prepared ones."""
    counts = np.array([np.bincount(labels.ravel(), minlength=14) for _, labels, _ in cases])
    assert counts.shape[1] == 14
    assert counts[:, 1:].min() >= 60


def test_organs_lie_where_anatomy_has_them(cases) -> None:
    for _, labels, affine in cases:
        where = {}
        for number, name in enumerate(LABELS[1:], start=1):
            index = np.argwhere(labels == number).mean(axis=0)
            where[name] = nib.affines.apply_affine(affine, index)  # mm to the right, the front and the head
        assert where["liver"][0] > where["spleen"][0] + 100
        assert where["right_kidney"][0] > where["inferior_vena_cava"][0] > where["aorta"][0] > where["left_kidney"][0]
        assert where["gallbladder"][1] > where["pancreas"][1] > where["aorta"][1] > where["right_kidney"][1]
        for side in ("right", "left"):
            assert where[f"{side}_adrenal"][2] > where[f"{side}_kidney"][2] + 30
        assert where["esophagus"][2] > where["stomach"][2]


def test_cases_differ_and_repeat_exactly() -> None:
    one, again, other = phantom(TINY, 1), phantom(TINY, 1), phantom(TINY, 2)
    for array, same, different in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(array, same)
        assert not np.array_equal(array, different)
    reseeded = phantom(TINY.model_copy(update={"seed": 1}), 1)
    assert not np.array_equal(one[0], reseeded[0])


def best_intensity_dice(histograms: np.ndarray) -> float:
    """Mean Dice of the 13 organs that no labelling by intensity alone can exceed.

    Every organ gets the set of intensities that suits it best, even if another one has taken them: in the order of
    their share of the organ, as many as give the highest Dice.

    Args:
        histograms: voxels by case, intensity and label.
    """
    best = []
    total = histograms.sum(axis=0)
    for label in range(1, 14):
        share = total[:, label] / np.maximum(total.sum(axis=1), 1)
        chosen = histograms[:, np.argsort(-share)]
        hits, size = chosen[..., label].cumsum(axis=1), chosen.sum(axis=2).cumsum(axis=1)
        dice = 2 * hits / (size + histograms[..., label].sum(axis=1, keepdims=True))
        best.append(dice.mean(axis=0).max())
    return float(np.mean(best))


def test_intensity_alone_cannot_label_the_organs(cases) -> None:
    """Not even if fitted on the labels of the same cases, nor if fitted on each case on its own."""
    histograms = []
    for hounsfield, labels, _ in cases:
        scaled = np.clip((hounsfield.astype(float) + 175) / 425, 0, 1)  # as the shipped task prepares them
        bins = np.minimum((scaled * BINS).astype(int), BINS - 1)
        counts = np.bincount((bins * 14 + labels).ravel(), minlength=BINS * 14)
        histograms.append(counts.reshape(BINS, 14))
    assert best_intensity_dice(np.array(histograms)) < 0.35
    assert np.mean([best_intensity_dice(one[None]) for one in np.array(histograms)]) < 0.35


def test_files_are_like_btcvs(tmp_path: Path) -> None:
    generate(tmp_path / "demo", TINY)
    image = nib.load(tmp_path / "demo" / "img" / "img0001.nii.gz")
    label = nib.load(tmp_path / "demo" / "label" / "label0001.nii.gz")
    assert image.get_data_dtype() == np.int16
    assert image.shape == label.shape == (40, 32, 20)
    np.testing.assert_array_equal(image.affine, label.affine)
    assert nib.aff2axcodes(image.affine)[::2] == ("L", "S")
    zooms = image.header.get_zooms()
    assert zooms[2] > 1.1 * zooms[0]
    assert np.asarray(image.dataobj).min() < -900
    content = json.loads((tmp_path / "demo" / "dataset_0.json").read_text())
    assert [len(content[split]) for split in ("training", "validation")] == [2, 1]
    assert content["validation"][0] == {"image": "img/img0003.nii.gz", "label": "label/label0003.nii.gz"}


def test_a_finished_set_is_kept_and_another_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    generate(folder, TINY)
    first = (folder / MARKER).stat().st_mtime_ns
    generate(folder, TINY)
    assert (folder / MARKER).stat().st_mtime_ns == first
    generate(folder, TINY.model_copy(update={"validation": 2}))
    assert len(list((folder / "img").iterdir())) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"demo", ".demo.lock"}


def test_an_interrupted_set_is_not_taken_for_a_finished_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupt(options: PhantomOptions, number: int) -> object:
        calls.append(number)
        if number == 2:
            raise KeyboardInterrupt
        return phantom(options, number)

    monkeypatch.setattr(phantoms, "phantom", interrupt)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "demo", TINY)
    assert calls == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == [".demo.lock"]


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "mine.txt").touch()
    with pytest.raises(DataError, match="was not made by the generator"):
        generate(tmp_path / "scans", TINY)
    assert (tmp_path / "scans" / "mine.txt").exists()
