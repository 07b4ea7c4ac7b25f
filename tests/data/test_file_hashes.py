import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from medvid.data import file_hashes as module
from medvid.data.file_hashes import FileHashes
from medvid.digests import digest_of_files
from medvid.errors import DataError


class Folder:
    """A file, and how often it was read."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache, self.reads = root, root / "cache", 0
        self.file = root / "a"
        self.file.write_bytes(b"first")

    def hash(self, paths: Sequence[Path]) -> str:
        self.reads += 1
        return digest_of_files(paths)

    def find(self, hashes: FileHashes | None = None) -> str:
        """As another process would."""
        return (hashes or FileHashes(self.cache, self.root)).of(self.hash, [self.file])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a minute had gone by since each change."""
    monkeypatch.setattr(module, "SETTLED", -(10**6))


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_read_once(folder: Folder) -> None:
    assert folder.find() == folder.find() == digest_of_files([folder.file])
    assert folder.reads == 1
    assert folder.cache.joinpath("CACHEDIR.TAG").exists()
    assert FileHashes(folder.cache, folder.root).path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_changed_just_before_it_was_read_is_read_again(folder: Folder) -> None:
    """It could be changed again without another time; time alone shows that it was not."""
    folder.find()
    folder.find()
    assert folder.reads == 2
    os.utime(folder.file, (time.time() - 3600,) * 2)  # its status changed now nevertheless
    folder.find()
    folder.find()
    assert folder.reads == 4


@pytest.mark.usefixtures("settled")
def test_a_file_with_a_time_in_the_future_is_read_each_time(folder: Folder) -> None:
    os.utime(folder.file, (time.time() + 86400,) * 2)
    folder.find()
    folder.find()
    assert folder.reads == 2


def rewrite(file: Path) -> None:
    file.write_bytes(b"other")


def rewrite_and_put_the_time_back(file: Path) -> None:
    state = file.stat()
    time.sleep(0.02)  # more than the accuracy of times on the disks of tests
    file.write_bytes(b"other")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def put_another_in_its_place(file: Path) -> None:
    state, other = file.stat(), file.with_name("b")
    other.write_bytes(b"other")
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(file)


def lengthen(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"!")


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [rewrite, rewrite_and_put_the_time_back, put_another_in_its_place, lengthen])
def test_a_changed_file_is_read_again(folder: Folder, change: Callable[[Path], None]) -> None:
    before = folder.find()
    time.sleep(0.02)
    change(folder.file)
    assert folder.find() == digest_of_files([folder.file]) != before


@pytest.mark.usefixtures("settled")
def test_a_file_that_changes_while_it_is_read_is_not_recorded(folder: Folder) -> None:
    def slow(paths: Sequence[Path]) -> str:
        found = folder.hash(paths)
        lengthen(folder.file)
        return found

    for _ in range(2):
        FileHashes(folder.cache, folder.root).of(slow, [folder.file])
    assert folder.reads == 2


@pytest.mark.usefixtures("settled")
def test_functions_and_groups_of_files_have_hashes_of_their_own(folder: Folder) -> None:
    hashes, other = FileHashes(folder.cache, folder.root), folder.root / "b"
    other.write_bytes(b"second")
    assert hashes.of(digest_of_files, [folder.file]) != hashes.of(digest_of_files, [folder.file, other])
    assert hashes.of(lambda _: "it", [folder.file]) == "it"


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "damage", [lambda text: text[:-3], lambda text: text.replace(b" ", b"0", 1), lambda _: b"\xff"]
)
def test_damaged_lines_are_ignored_and_do_not_spoil_later_ones(
    folder: Folder, damage: Callable[[bytes], bytes]
) -> None:
    folder.find()
    record = FileHashes(folder.cache, folder.root).path
    record.write_bytes(damage(record.read_bytes()))
    for _ in range(2):
        folder.find()
    assert folder.reads == 2


@pytest.mark.usefixtures("settled")
def test_a_cache_that_cannot_be_written_to_only_costs_time(folder: Folder) -> None:
    folder.cache.touch()
    assert folder.find() == digest_of_files([folder.file])


@pytest.mark.usefixtures("settled")
def test_a_missing_file_is_an_error_and_not_a_hash(folder: Folder) -> None:
    folder.find()
    folder.file.unlink()
    with pytest.raises(FileNotFoundError):
        folder.find()


@pytest.mark.usefixtures("settled")
def test_superseded_lines_are_left_out_in_the_end(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SPARE", 5)
    for _ in range(12):
        lengthen(folder.file)
        found = folder.find()
    assert FileHashes(folder.cache, folder.root).path.read_bytes().count(b"\n") <= 8
    reads = folder.reads
    assert folder.find() == found
    assert folder.reads == reads


@pytest.mark.usefixtures("settled")
def test_content_that_changed_behind_the_back_of_the_file_system_is_named(folder: Folder) -> None:
    hashes = FileHashes(folder.cache, folder.root)
    folder.find(hashes)
    assert hashes.reread(folder.hash, [folder.file]) == digest_of_files([folder.file])
    key, (state, _) = next(iter(hashes._known.items()))
    hashes._add(key, state, "0" * 32)
    with pytest.raises(DataError, match=r"/a: the content changed, but neither size nor time") as caught:
        hashes.reread(folder.hash, [folder.file])
    assert "disk may be failing" in caught.value.hint
    assert folder.find() == digest_of_files([folder.file]), "it is recorded as it is now"


@pytest.mark.usefixtures("settled")
def test_the_record_is_not_sent_along(folder: Folder) -> None:
    hashes = FileHashes(folder.cache, folder.root)
    folder.find(hashes)
    sent = pickle.dumps(hashes)
    assert len(sent) < 1000
    folder.find(pickle.loads(sent))
    assert folder.reads == 1


_WRITER = """
import sys
from pathlib import Path
from medvid.data import file_hashes
file_hashes.SETTLED = -(10**6)
root = Path(sys.argv[1])
hashes = file_hashes.FileHashes(root / "cache", root)
sys.stdin.read()
for number in range(300):
    hashes.of(lambda paths: f"{number:032d}", [root / f"{sys.argv[2]}{number}"])
"""


@pytest.mark.usefixtures("settled")
def test_processes_that_record_at_once_lose_nothing(folder: Folder) -> None:
    for name in "xy":
        for number in range(300):
            (folder.root / f"{name}{number}").touch()
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(folder.root), name], stdin=subprocess.PIPE)
        for name in "xy"
    ]
    for writer in writers:  # both have started before either goes on
        assert writer.stdin
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    record = FileHashes(folder.cache, folder.root)
    assert sorted(found for _, found in record._known.values()) == sorted(
        [f"{number:032d}" for number in range(300)] * 2
    )
