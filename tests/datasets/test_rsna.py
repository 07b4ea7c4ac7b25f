"""The haemorrhage challenge as it unpacks: a table of labels, and single slices in one folder."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medvid.errors import DataError
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN

pydicom = pytest.importorskip("pydicom")

from medvid_rsna.bleeds import generate  # noqa: E402
from medvid_rsna.config import LABELS, BleedsOptions, RSNAHemorrhageOptions  # noqa: E402
from medvid_rsna.data import RSNAHemorrhage  # noqa: E402
from medvid_rsna.protocol import weighted_log_loss  # noqa: E402
from medvid_rsna.table import read_table  # noqa: E402

HOST = make_host()


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Series of five patients; tests only read it."""
    root = tmp_path_factory.mktemp("heads") / "data"
    generate(root, BleedsOptions(patients=5, size=24, slices=(3, 5)))
    return root


@pytest.fixture
def copy(heads: Path, tmp_path: Path) -> Path:
    """Of which a test can change files."""
    return Path(shutil.copytree(heads, tmp_path / "copy"))


def opened(root: Path, cache: Path, **options: Any) -> RSNAHemorrhage:
    block = {"root": root, "cache": cache, "size": (12, 12, 3), "validation_fraction": 0.4, **options}
    return RSNAHemorrhage(RSNAHemorrhageOptions(**block), HOST.build_all)


def lines_of(root: Path) -> list[list[str]]:
    with (root / "stage_2_train.csv").open() as file:
        return list(csv.reader(file))


def test_slices_are_series_in_the_order_of_their_positions(heads: Path, tmp_path: Path) -> None:
    data = opened(heads, tmp_path)
    labels = dict(lines_of(heads)[1:])
    assert len(data.labelled()) == 7  # patients 0 and 3 have two series
    for uid in data.labelled():
        case = data.open_case(uid)
        positions = case.places["position_mm"]
        assert list(positions) == sorted(positions)
        for path, target in zip(case.sources, case.target, strict=True):
            assert str(pydicom.dcmread(path).SeriesInstanceUID) == uid
            assert [labels[f"{path.stem}_{label}"] for label in LABELS] == [str(int(one)) for one in target]


def test_patients_are_held_out_whole(heads: Path, tmp_path: Path) -> None:
    data = opened(heads, tmp_path)
    patients = {split: {data.open_case(case).patient for case in data.cases(split)} for split in data.splits}
    assert len(patients["validation"]) == 2
    assert not patients["train"] & patients["validation"]


def test_patients_on_both_sides_are_refused(heads: Path, tmp_path: Path) -> None:
    data = opened(heads, tmp_path)
    by_patient: dict[str, list[str]] = {}
    for case in data.labelled():
        by_patient.setdefault(data.open_case(case).patient, []).append(case)
    train, held_out = next(cases for cases in by_patient.values() if len(cases) == 2)
    with pytest.raises(DataError, match="patients of whom some cases are trained on and others held out"):
        _ = opened(heads, tmp_path, split={"train": [train], "validation": [held_out]}).splits


def test_windows_are_channels_and_slices_lie_upright(copy: Path, tmp_path: Path) -> None:
    data = opened(copy, tmp_path, windows=["brain", (-20.0, 180.0)])
    path = data.open_case(data.labelled()[0]).sources[0]
    tags = pydicom.dcmread(path)
    pixels = np.full((24, 24), 1024 + 40, "<i2")
    pixels[:, 12:] = 1024 + 100  # columns run to the left, so the left of the patient
    tags.PixelData = pixels.tobytes()
    tags.save_as(path)
    [found] = (
        opened(copy, tmp_path, windows=["brain", (-20.0, 180.0)]).open_case(data.labelled()[0]).frames(0, 1).unbind(3)
    )
    assert found[0, :, 0].tolist() == [1.0] * 6 + [0.5] * 6
    assert found[1, -1].tolist() == pytest.approx([0.3] * 12)


def test_a_window_beyond_the_end_is_filled_with_the_last_slice_and_unknown(heads: Path, tmp_path: Path) -> None:
    data = opened(heads, tmp_path, size=(12, 12, 8))
    case = data.labelled()[0]
    count = data.open_case(case).frame_count
    batch = data.draw(case, 0)
    assert batch.input.shape == (1, 3, 12, 12, 8)
    assert torch.equal(batch.input[..., count:], batch.input[..., count - 1 : count].expand(-1, -1, -1, -1, 8 - count))
    assert (batch.target[0, count:] == UNKNOWN).all()
    assert torch.equal(batch.target[0, :count], data.open_case(case).target)


def test_slices_that_the_table_does_not_name_are_unknown(copy: Path, tmp_path: Path) -> None:
    first = opened(copy, tmp_path)
    case = first.labelled()[0]
    gone = first.open_case(case).sources[1].stem
    kept = [row for row in lines_of(copy) if not row[0].startswith(gone)]
    with (copy / "stage_2_train.csv").open("w", newline="") as file:
        csv.writer(file).writerows(kept)
    target = opened(copy, tmp_path).open_case(case).target
    assert target is not None
    assert (target == UNKNOWN).all(dim=1).tolist() == [number == 1 for number in range(len(target))]


def test_headers_are_read_again_only_where_files_changed(
    heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = opened(heads, tmp_path).labelled()
    monkeypatch.setattr("medvid_rsna.slices.read_slice", None)
    assert opened(heads, tmp_path).labelled() == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ID,Label\nID_a_any,1\nID_a_any,0\n", ":3: any of ID_a is 0, but 1 in a line before"),
        ("ID,Label\nID_a_epidurall,1\n", "'ID_a_epidurall' does not end in a kind of haemorrhage"),
        ("ID,Label\nID_a_any,0.5\n", ":2: '0.5' is not a label: 0 or 1"),
        ("ID,Label\nID_a_any\n", ":2: 1 cells, not ID and Label"),
        ("image,class\n", ":1: the columns are image, class, not ID and Label"),
        ("", ":1: the columns are missing"),
        (
            "ID,Label\n" + "".join(f"ID_a_{label},{int(label == 'any')}\n" for label in LABELS),
            "of 1 images the label any contradicts those of the kinds: ID_a",
        ),
    ],
)
def test_a_table_that_is_wrong_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert reason in str(caught.value)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("\ufeffID,Label\r\nID_a_b_any,1\r\nID_a_b_any,1\r\n\r\n".encode())
    found, notes = read_table(path)
    assert found == {"ID_a_b": [UNKNOWN] * 5 + [1]}
    assert notes[0].endswith("says 1 labels twice, the same each time")


def test_files_that_are_missing_or_no_slices_are_refused_by_name(copy: Path, tmp_path: Path) -> None:
    first, second, third, *_ = sorted((copy / "stage_2_train").iterdir())
    first.unlink()
    with pytest.raises(DataError, match=f"1 of .* images of stage_2_train.csv are not in .*: {first.stem}"):
        _ = opened(copy, tmp_path).series
    second.write_bytes(b"text")
    tags = pydicom.dcmread(third)
    tags.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    tags.save_as(third)
    with pytest.raises(DataError) as caught:
        _ = opened(copy, tmp_path, leave_out=[first.stem]).series
    assert f"{second} is not a DICOM slice" in str(caught.value)
    assert f"{third} is not an axial slice" in str(caught.value)
    left_out = [first.stem, second.stem, third.stem]
    assert not {path.stem for path in _paths(opened(copy, tmp_path, leave_out=left_out))} & set(left_out)


def _paths(data: RSNAHemorrhage) -> list[Path]:
    return [one.path for slices in data.series.values() for one in slices]


def test_any_counts_twice_and_unknown_labels_in_nothing() -> None:
    p = np.array([[0.5, 0.25], [0.9, 1.0]])
    truth = np.array([[1.0, 0.0], [np.nan, 1.0]])
    wanted = (np.log(2) - 2 * np.log(0.75) - 2 * np.log(1 - 1e-15)) / 5
    assert weighted_log_loss(p, truth, [1, 2])["weighted_log_loss"] == pytest.approx(wanted)
    p[1, 0] = 0.1
    assert weighted_log_loss(p, truth, [1, 2])["weighted_log_loss"] == pytest.approx(wanted)
