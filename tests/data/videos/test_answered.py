"""Videos named by a table, from the table to batches, views and refusals."""

import pickle
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch

from medvid.config.examples import read_options
from medvid.data.videos.answered import AnsweredVideos
from medvid.errors import DataError, MedvidError
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import DatasetSpec
from medvid_videos.config import recognise, recognise_table
from medvid_videos.data import VideoTable

HOST = make_host()


def nothing(done: int, total: int) -> None: ...


@pytest.fixture(scope="module")
def clips(films: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four different videos of a second each. Not to be changed."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(4):
        films.write(root / "videos" / f"p {number}{'é' * (number == 3)}.mp4", films.numbered(30 + number, (32, 48)))
    return root


def table(root: Path, text: str | bytes, **more: Any) -> AnsweredVideos:
    """The data set of a table; paths in it are relative to `root`, wherever it stands."""
    (root / "labels.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    values = {"root": str(root), "frames": 4, "rate": 2, "size": 32, "short_side": [32, 32], **more}
    return VideoTable(read_options(HOST, HOST.spec(DatasetSpec, "video_table"), values))


@pytest.fixture
def root(clips: Path, tmp_path: Path) -> Path:
    (tmp_path / "videos").symlink_to(clips / "videos")
    return tmp_path


FINDINGS = "path,mr,as,patient,split\nvideos/p 0.mp4,1,0,a,train\nvideos/p 1,0,,b,train\nvideos/p 2.mp4,1,1,c,val\n"


def test_labels_from_a_table_to_a_batch_and_a_case(root: Path) -> None:
    data = table(root, FINDINGS, label_columns=["mr", "as"])
    assert data.cases("train") == ("videos/p 0.mp4", "videos/p 1")
    assert data.cases("validation") == ("videos/p 2.mp4",)
    assert (data.target_info.what, data.target_info.names, data.target_info.has_unknown) == (
        "labels",
        ("mr", "as"),
        True,
    )
    batch = data.draw("videos/p 1", 0)
    assert (batch.input.shape, batch.input.dtype) == ((1, 3, 4, 32, 32), torch.uint8)
    assert (batch.target.tolist(), batch.target.dtype) == ([[0.0, UNKNOWN]], torch.float32)
    data.prepare((*data.cases("train"), *data.cases("validation")), nothing)
    case = pickle.loads(pickle.dumps(data.open_case("videos/p 2.mp4")))
    assert (case.target.tolist(), case.patient, case.views(2, 3, "spread").shape) == ([1, 1], "c", (6, 3, 4, 32, 32))
    again = data.draw("videos/p 1", 0)
    assert torch.equal(again.input, batch.input)
    assert not torch.equal(data.draw("videos/p 1", 1).input, batch.input)


def test_numbers_keep_their_units_and_scale(root: Path) -> None:
    text = "\ufeffVideo;ef;patient\nvideos/p 0.mp4;50;a\nvideos/p 1.mp4;60;b\nvideos/p 2.mp4;;c\nvideos/p 3é;70;a\n"
    data = table(root, text, value_columns={"EF": "%"}, validation_fraction=0)
    assert (data.target_info.units, data.target_info.means) == (("%",), (60.0,))
    assert data.draw("videos/p 0.mp4", 0).target.tolist() == [[50.0]]
    assert data.open_case("videos/p 2.mp4").target.isnan().tolist() == [True]
    assert data.groups()["videos/p 3é"] == "a"


def test_names_of_files_in_either_form_of_accents(clips: Path, tmp_path: Path) -> None:
    decomposed = tmp_path / unicodedata.normalize("NFD", "é.mp4")
    decomposed.write_bytes(next((clips / "videos").iterdir()).read_bytes())
    for name in ("é.mp4", "é", str(tmp_path / "é.mp4"), unicodedata.normalize("NFD", "é")):
        data = table(tmp_path, f"path,class\n{name},x\n", validation_fraction=0)
        (case,) = data.cases("train")
        assert data.open_case(case).sources == (decomposed,)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("videos/p 0.mp4,x,a,train\nvideos/none,x,b,val\n", r"labels.csv:3: .*videos/none does not exist"),
        ("videos/p 0.mp4,x,a,train\nvideos/p 0,y,a,train\n", r"labels.csv:3: videos/p 0 is named in line 2 already"),
        ("videos/p 0.mp4,x,a,train\n./videos/p 0.mp4,x,a,train\n", r"labels.csv:3: .* is named in line 2 already"),
        ("videos/p 0.mp4,x,a,train\nvideos/p 1.mp4,y,a,val\n", "patients of whom some cases are trained on.*a"),
        ("videos/p 0.mp4,x,a,train\nvideos/p 1.mp4,y,b,vall\n", r"labels.csv:3: column split: 'vall' is not a split"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_by_line(root: Path, lines: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table(root, f"path,class,patient,split\n{lines}").cases("train")


def test_a_name_without_ending_that_two_files_could_have(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.avi"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"labels.csv:2: a could be a.mp4, a.avi"):
        table(tmp_path, "path,class\na,x\n").cases("train")


def test_copies_on_both_sides_and_empty_files_are_found_before_training(clips: Path, tmp_path: Path) -> None:
    film = next((clips / "videos").iterdir()).read_bytes()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(film)
    data = table(tmp_path, "path,class,split\na.mp4,x,train\nb.mp4,y,val\n")
    with pytest.raises(DataError, match=r"copies of training cases: b.mp4 = a.mp4"):
        data.prepare(("a.mp4", "b.mp4"), nothing)
    (tmp_path / "b.mp4").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 videos are empty: b.mp4"):
        table(tmp_path, "path,class,split\na.mp4,x,train\nb.mp4,y,val\n").prepare(("b.mp4",), nothing)


def test_without_a_table_it_is_said_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MedvidError, match=r"labels.csv cannot be read") as caught:
        table(tmp_path, "x").options.model_copy(update={"table": "labels.csv", "root": tmp_path / "none"}).filled()
    assert "dataset.table" in caught.value.hint


def test_a_folder_with_a_table_of_videos_is_recognised_as_that_alone(root: Path) -> None:
    table(root, FINDINGS, label_columns=["mr"])
    assert (recognise(root), recognise_table(root)) == (None, {})
