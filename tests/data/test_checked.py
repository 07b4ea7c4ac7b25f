"""Files that change after they were checked."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from medvid.data.checked import CheckedFiles
from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.options import ListedVideoOptions
from medvid.errors import DataError


def nothing(done: int, total: int) -> None: ...


@pytest.fixture
def make(films: Any, tmp_path: Path):
    """Make a data set of three clips, with options."""
    film = films.write(tmp_path / "data" / "a" / "1.mp4", films.numbered(6))
    for name in ("a/2.mp4", "b/3.mp4"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        shutil.copy(film, tmp_path / "data" / name)

    def make_dataset(**options: object) -> VideoDataset:
        values = {"name": "videos", "root": tmp_path / "data", "cache": tmp_path / "cache", "size": 32, **options}
        return VideoDataset(ListedVideoOptions.model_validate(values))

    return make_dataset


def prepare(data: VideoDataset) -> None:
    data.prepare(data.cases("train"), nothing)


def flip(path: Path, *, keep_time: bool) -> None:
    """Change one byte of the pictures."""
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[content.index(b"mdat") + 40] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_changed_file_is_named_before_a_run(make, tmp_path) -> None:
    data = make()
    prepare(data)  # nothing is known of them yet
    data.record(data.cases("train"), nothing)
    prepare(data)
    flip(tmp_path / "data" / "a" / "2.mp4", keep_time=False)
    with pytest.raises(DataError, match=r"^1 files changed since they were checked: a/2\.mp4$"):
        prepare(make())
    data.record(["a/2.mp4"], nothing)
    prepare(make())


def test_it_does_not_matter_how_the_folder_is_named(make, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = make(root=Path("data"), cache=Path("cache"))
    data.record(data.cases("train"), nothing)
    flip(tmp_path / "data" / "a" / "2.mp4", keep_time=False)
    with pytest.raises(DataError, match=r"^1 files changed since they were checked: a/2\.mp4$"):
        prepare(make())


def test_a_file_that_was_touched_or_copied_is_the_same(make, tmp_path) -> None:
    data = make()
    data.record(data.cases("train"), nothing)
    os.utime(tmp_path / "data" / "a" / "2.mp4", ns=(1, 1))
    prepare(make())


def test_all_content_is_compared_on_request(make, tmp_path) -> None:
    data = make(verify_content=True)
    with pytest.raises(DataError, match=r"3 of 3 files were never checked, .*: a/1\.mp4, a/2\.mp4, b/3\.mp4"):
        prepare(data)
    data.record(data.cases("train"), nothing)
    prepare(data)
    flip(tmp_path / "data" / "b" / "3.mp4", keep_time=True)
    prepare(make())  # nothing shows it
    with pytest.raises(DataError, match=r"1 files changed since they were checked: b/3\.mp4"):
        prepare(make(verify_content=True))


def test_damaged_notes_are_named(make, tmp_path) -> None:
    data = make()
    data.record(data.cases("train"), nothing)
    notes = CheckedFiles(tmp_path / "cache", tmp_path / "data").path
    notes.write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        prepare(make())
