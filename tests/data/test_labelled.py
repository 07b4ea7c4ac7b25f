"""Data sets of small labelled arrays, as a plugin derives them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medvid.data.batch import collate
from medvid.data.labelled import LabelledCase, LabelledDataset
from medvid.data.transforms.intensity import ShiftIntensity
from medvid.data.transforms.options import ShiftIntensityOptions
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.testing import ToyOptions

OPTIONS = ToyOptions(
    axes="volume", where="case", what="class", channels=1, size=(4, 5, 6), labels=("benign", "malignant")
)


class Arrays(LabelledDataset):
    """Arrays and labels in memory."""

    def __init__(self, options: ToyOptions = OPTIONS, **cases: tuple[np.ndarray, int]) -> None:
        super().__init__(options)
        self._cases = cases

    def declared(self) -> dict[str, tuple[str, ...]]:
        return {"train": tuple(self._cases)}

    def read(self, case: str) -> tuple[np.ndarray, int]:
        return self._cases[case]

    def read_file(self, path: Path) -> np.ndarray:
        return np.asarray(np.load(path))


def volume(value: float = 0.0) -> np.ndarray:
    return np.full((1, 4, 5, 6), value)


def test_the_seed_alone_decides_a_sample() -> None:
    dataset = Arrays(a=(volume(), 1))
    dataset.transforms = (ShiftIntensity(ShiftIntensityOptions(probability=1)),)
    first, again, other = (dataset.draw("a", seed) for seed in (1, 1, 2))
    assert torch.equal(first.input, again.input)
    assert not torch.equal(first.input, other.input)
    assert first.input.shape == (1, 1, 4, 5, 6)
    assert first.target.tolist() == [1]


def test_everything_wrong_is_told_at_once() -> None:
    dataset = Arrays(
        fine=(volume(), 0), label=(volume(), 2), shape=(volume()[:, 1:], 0), nan=(volume(np.nan), 1), also=(volume(), 1)
    )
    done: list[int] = []
    with pytest.raises(DataError) as caught:
        dataset.prepare(dataset.cases("train"), lambda count, _total: done.append(count))
    told = str(caught.value)
    assert "case label has label 2; 2 labels are declared, 0 to 1" in told
    assert "case shape has shape (1, 3, 5, 6), not (1, 4, 5, 6)" in told
    assert "case nan has values that are NaN or infinite" in told
    assert "fine" not in told
    assert done == [1, 2, 3, 4, 5]


def test_a_label_may_be_unknown_where_the_target_says_so() -> None:
    some = Arrays(OPTIONS.model_copy(update={"has_unknown": True}), a=(volume(), UNKNOWN), b=(volume(), 1))
    some.prepare(("a", "b"), lambda *_: None)
    assert some.open_case("a").target == UNKNOWN
    batch = collate([some.draw(case, 0) for case in ("a", "b")])
    assert batch.target.dtype == torch.int8
    assert batch.to(torch.device("cpu")).target.tolist() == [UNKNOWN, 1]
    with pytest.raises(DataError, match="case a has label -1"):
        Arrays(a=(volume(), UNKNOWN)).open_case("a")


def test_the_digest_tells_content_and_labels() -> None:
    found = {Arrays(a=case).digest(["a"]) for case in ((volume(), 0), (volume(), 1), (volume(1), 0))}
    assert len(found) == 3
    assert Arrays(a=(volume(), 0)).digest(["a"]) in found


def test_new_files_have_no_label(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", volume(2))
    [case] = Arrays().open([tmp_path / "scan.npy"])
    assert (case.id, case.target) == ("scan", None)
    assert case.views(2, 3, "spread").shape == (3, 1, 4, 5, 6)


def test_volumes_are_shown_upright() -> None:
    prepared = torch.zeros(1, 4, 5, 6)
    prepared[0, 3, :, 0] = 1  # the patient's right, in the lowest slice
    prepared[0, 0, 4, 5] = 2  # left and anterior, in the highest
    lowest, highest = LabelledCase("a", prepared, None, "volume").thumbnails(2)
    assert lowest.shape == (5, 4, 3)
    assert (lowest[:, 0] == 127).all()
    assert (lowest[:, 1:] == 0).all()
    assert highest[0, 3].tolist() == [255] * 3


def test_two_new_files_of_one_name_are_refused_before_any_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="several files are called a; their predictions"):
        next(Arrays().open([tmp_path / "x" / "a.npy", tmp_path / "b.npy", tmp_path / "y" / "a.npy"]))
