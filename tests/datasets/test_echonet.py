"""EchoNet-Dynamic as published: its tables, what is wrong with them, tracings as masks, and the generated loops."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medvid.data.videos.decoders import open_video
from medvid.errors import DataError
from medvid_echonet.config import CineLoopOptions, EchoNetOptions
from medvid_echonet.data import EchoNet
from medvid_echonet.loops import FPS, Heart, generate
from medvid_echonet.tracing_table import read_tracings
from medvid_echonet.tracings import mask_of, polygon_mask

PUBLISHED = Path(__file__).parent / "echonet"
FIRST, SECOND, BARE = "0XA1B2C3D4E5F60718", "0XFFEE00112233AABB", "0X0102030405060708"
MASKS = dict(np.load(PUBLISHED / "masks.npz"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy that a test may change; the third video of the list has neither file nor tracings."""
    return Path(shutil.copytree(PUBLISHED, tmp_path / "EchoNet-Dynamic"))


def opened(root: Path, **values: object) -> EchoNet:
    return EchoNet(EchoNetOptions.model_validate({"root": root, "cache": root.parent / "cache", **values}))


def replace(root: Path, old: str, new: str, table: str = "FileList.csv") -> None:
    text = (root / table).read_text()
    assert old in text
    (root / table).write_text(text.replace(old, new))


def test_splits_measures_and_the_videos_without_a_tracing(root: Path) -> None:
    data = opened(root, measures=["EF", "EDV"], untraced="keep")
    assert dict(data.splits) == {"train": (FIRST,), "validation": (SECOND,), "test": (BARE,)}
    assert data.draw(FIRST, 0).target.tolist() == [pytest.approx([61.33, 88.21])]
    assert data.target_info.units == ("%", "ml")
    dropped = opened(root)
    assert {name: [*cases] for name, cases in dropped.splits.items()} == {"train": [FIRST], "validation": [SECOND]}
    assert dropped.index.notes == (f"left out, as in the published code: 1 videos without a tracing: {BARE}",)


def test_names_may_have_a_suffix_in_either_table(root: Path) -> None:
    replace(root, FIRST, f"{FIRST}.avi")
    replace(root, f"{SECOND}.avi", SECOND, "VolumeTracings.csv")
    data = opened(root)
    assert [*data.cases("train"), *data.cases("validation")] == [FIRST, SECOND]


def test_the_scale_is_that_of_the_training_videos_or_given(root: Path) -> None:
    info = opened(root).target_info
    assert (info.means, info.deviations) == ((61.33,), (1.0,))  # of one video
    generated = opened(root, means={"EF": 55.6}, deviations={"EF": 1}).options.filled()
    assert (generated.target_info().means, generated.target_info().deviations) == ((55.6,), (1.0,))


@pytest.mark.parametrize("name", sorted(MASKS))
def test_masks_are_those_of_the_published_code(name: str) -> None:
    video, frame = name.split(".")
    np.testing.assert_array_equal(mask_of(read_tracings(PUBLISHED)[video][int(frame)], (112, 112)), MASKS[name])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("34.5,98.5", "134.5,98.5", "3: EF is 134.5, not a share of 0 to 100 %"),
        ("34.5,98.5", "-3,98.5", "3: EF is -3, below 0"),
        ("34.5,98.5", ",98.5", "3: EF is empty"),
        ("34.5,98.5", "34;5,98.5", "3: EF: '34;5' is not a number"),
        ("112,112,50,40", "112,112,0,40", "3: FPS is 0"),
        ("112,112,50,40", "112,112,50,0", "3: NumberOfFrames is 0"),
        (",VAL", ",VALL", "3: Split 'VALL' is none of TRAIN, VAL and TEST"),
        (SECOND, FIRST, f"3: {FIRST} is in line 2 already, in the split train, and here in validation"),
        (SECOND, f"{FIRST}.avi", f"3: {FIRST} is in line 2 already, in the split train, and here in validation"),
        (SECOND, f"Videos/{SECOND}", f"3: FileName 'Videos/{SECOND}' is not the name of a video in Videos"),
        ("Split", "Fold", " has no column Split; it has FileName, EF, "),
    ],
)
def test_wrong_lines_are_named(root: Path, old: str, new: str, message: str) -> None:
    replace(root, old, new)
    with pytest.raises(DataError) as refused:
        opened(root).declared()
    assert f"FileList.csv:{message}".replace("csv: has", "csv has") in str(refused.value)
    assert refused.value.hint


def test_all_wrong_lines_are_said_at_once(root: Path) -> None:
    replace(root, "34.5,98.5", "134.5,98.5")
    replace(root, ",TEST", ",")
    with pytest.raises(DataError, match=r"2 lines of .*FileList.csv cannot be used") as refused:
        opened(root).declared()
    assert "FileList.csv:4: Split '' is none of" in str(refused.value)


@pytest.mark.parametrize("chord", ["56.0,46.0,56.0", "56.0,46.0,nan,74.0,8", "56.0,46.0,56.0,74.0,8.5"])
def test_a_damaged_tracing_is_named(root: Path, chord: str) -> None:
    replace(root, "56.0,46.0,56.0,74.0,8", chord, "VolumeTracings.csv")
    with pytest.raises(DataError, match=r"VolumeTracings.csv:2: it is not a chord of a frame"):
        opened(root).declared()


def test_a_folder_without_the_tables_is_refused(root: Path) -> None:
    (root / "VolumeTracings.csv").unlink()
    assert opened(root).index.notes == ()  # they are not needed
    (root / "FileList.csv").unlink()
    with pytest.raises(DataError, match=r"FileList.csv does not exist"):
        opened(root).declared()


def test_a_missing_video_stops_the_run_or_is_left_out(root: Path) -> None:
    whole = opened(root, untraced="keep")
    with pytest.raises(DataError, match=r"1 of 1 clips of test in .* are missing, empty or not files: 0X0102"):
        whole.cases("test")
    assert BARE not in opened(root, untraced="keep", missing="drop").labelled()


def test_a_video_of_another_length_than_listed_is_said(root: Path) -> None:
    assert opened(root).check_case(FIRST, deep=False) == opened(root).check_case(SECOND, deep=False)
    replace(root, "112,112,50,24", "112,112,50,25")
    assert opened(root).check_case(FIRST, deep=False)[-1].startswith("another number of frames than in FileList.csv")
    replace(root, "112,112,50,40", "112,112,30,40")
    assert opened(root).check_case(SECOND, deep=False)[-1].startswith("another frame rate than in FileList.csv")


def test_a_video_on_both_sides_under_two_names_is_refused(root: Path) -> None:
    shutil.copy(root / "Videos" / f"{FIRST}.avi", root / "Videos" / f"{SECOND}.avi")
    with pytest.raises(DataError, match=f"1 held-out cases are copies of training cases: {SECOND} = {FIRST}"):
        opened(root).prepare([FIRST, SECOND], lambda *_: None)


def test_unlisted_videos_are_named(root: Path) -> None:
    shutil.copy(root / "Videos" / f"{FIRST}.avi", root / "Videos" / "0XNEW.avi")
    assert any("not in FileList.csv" in note and "0XNEW.avi" in note for note in opened(root).index.notes)


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"classes": ["a"]}, {"measures": ["EF", "EF"]}, {"measures": []}, {"deviations": {"EF": 0}}):
        with pytest.raises(ValidationError):
            EchoNetOptions.model_validate({"root": "x", **wrong})


corners = st.lists(st.tuples(st.integers(-3, 14), st.integers(-3, 14)), min_size=3, max_size=9)


@given(corners, st.integers(0, 8), st.booleans())
def test_a_polygon_does_not_depend_on_where_it_begins(
    points: Sequence[tuple[int, int]], shift: int, back: bool
) -> None:
    rows, columns = np.array(points).T
    mask = polygon_mask(rows, columns, (12, 12))
    order = np.roll(np.arange(len(points)), shift)[:: -1 if back else 1]
    np.testing.assert_array_equal(polygon_mask(rows[order], columns[order], (12, 12)), mask)
    assert all(mask[row, column] for row, column in points if 0 <= row < 12 and 0 <= column < 12)


sides = st.sets(st.integers(-2, 13), min_size=2, max_size=2).map(sorted)


@given(sides, sides)
def test_a_rectangle_has_its_border(vertical: list[int], horizontal: list[int]) -> None:
    (top, bottom), (left, right) = vertical, horizontal
    mask = polygon_mask(np.array([top, top, bottom, bottom]), np.array([left, right, right, left]), (12, 12))
    expected = np.zeros((12, 12), bool)
    expected[max(0, top) : max(0, bottom + 1), max(0, left) : max(0, right + 1)] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loops") / "demo"
    generate(folder, CineLoopOptions(train=4, validation=1, test=1, size=64, frames=(60, 80)))
    return folder


def test_loops_are_what_their_tables_say(loops: Path) -> None:
    data, tracings = opened(loops), read_tracings(loops)
    assert {name: len(cases) for name, cases in data.splits.items()} == {"train": 4, "validation": 1, "test": 1}
    for case in data.labelled():
        measured = data.file_list.measured[case]
        with open_video(data.clip(case).path) as video:
            assert (len(video.times.due), video.length.fps) == data.file_list.lengths[case]
            areas = {frame: int(mask_of(chords, (64, 64)).sum()) for frame, chords in tracings[case].items()}
            brightness = {frame: video.frames_at([frame / FPS])[0].mean(-1) for frame in areas}
        assert measured["EF"] == pytest.approx(100 * (1 - measured["ESV"] / measured["EDV"]), abs=1e-3)
        diastole, systole = max(areas, key=areas.__getitem__), min(areas, key=areas.__getitem__)
        assert _volume(tracings[case][systole]) / _volume(tracings[case][diastole]) == pytest.approx(
            measured["ESV"] / measured["EDV"], abs=0.01
        )
        for frame, shown in brightness.items():
            mask = mask_of(tracings[case][frame], (64, 64))
            assert shown[mask].mean() < 0.6 * shown[~mask & (shown > 0)].mean()


def _volume(chords: Sequence[float]) -> float:
    """By Simpson's rule of discs, in cubic pixels."""
    ends = np.asarray(chords).reshape(-1, 4)
    lengths = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1])
    return float(lengths[0] * (lengths[1:] ** 2).mean())


def test_loops_are_the_same_for_a_seed_and_differ_by_number(loops: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", CineLoopOptions(train=4, validation=1, test=1, size=64, frames=(60, 80)))
    names = sorted(file.name for file in (loops / "Videos").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "again/Videos").iterdir())
    contents = [(loops / "Videos" / name).read_bytes() for name in names]
    assert contents == [(tmp_path / "again/Videos" / name).read_bytes() for name in names]
    assert len(set(contents)) == len(names)


def test_a_heart_beats_from_its_largest_to_its_smallest() -> None:
    heart = Heart((0.5, 0.5), 0.3, 0.15, 0.2, ejection_fraction=0.6, period=40, phase=0, sway=0)
    volumes = np.array([heart.volume(frame) for frame in range(81)])
    assert volumes.argmax() % 40 == 0
    assert volumes.min() / volumes.max() == pytest.approx(0.4, abs=0.005)
    np.testing.assert_allclose(volumes[:41], volumes[40:])


def test_draws_have_margins_and_repeat(root: Path) -> None:
    data = opened(root, size=112)
    one, other = data.draw(FIRST, 5), data.draw(FIRST, 5)
    assert torch.equal(one.input, other.input)
    assert one.input.shape == (1, 3, 32, 112, 112)
    # 24 frames are 12 of the clip; the rest is the mean colour, 0.1274 of 255.
    assert (one.input[:, :, 12:] == 32).all()
    assert not (one.input[:, :, :12] == 32).all()
