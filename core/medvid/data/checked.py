"""What files held when they were checked, so that a later run notices those that changed. Imports nothing heavy.

One file per data set, in the cache: a size, a time of change and a hash of the content for each path.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from medvid.data.listing import listed
from medvid.errors import DataError
from medvid.files import make_folder, read_json, write_json

Progress = Callable[[int, int], None]

_THREADS = 8  # they wait for the disk, and hashing does not hold the interpreter's lock
_HINT = "check them again with platform data check, or restore them"


class CheckedFiles:
    """What is noted of the files of a data set.

    Args:
        cache: folder of the cache.
        root: the data set's folder.

    Raises:
        DataError: the notes are damaged.
    """

    def __init__(self, cache: Path, root: Path) -> None:
        name = hashlib.blake2b(os.fsencode(root.resolve()), digest_size=8).hexdigest()
        self.path = cache.expanduser() / "checked" / f"{name}.json"
        self._root = root.absolute()
        self._files: dict[str, tuple[int, int, str]] = {
            path: (size, time, digest) for path, (size, time, digest) in read_json(self.path).get("files", {}).items()
        }

    def note(self, paths: Sequence[str], progress: Progress) -> None:
        """Hash files and write down what they hold; what is noted of others is kept.

        Args:
            paths: the files.
            progress: told how many are hashed, out of how many.

        Raises:
            ResourceError: it cannot be written.
        """
        paths = _absolute(paths)
        states = {path: _state(path) for path in paths}  # before they are read
        for path, digest in _hashes(paths, progress):
            self._files[path] = (*states[path], digest)
        make_folder(self.path.parent)
        write_json(self.path, {"root": str(self._root), "files": self._files})

    def verify(self, paths: Sequence[str], *, content: bool, progress: Progress) -> None:
        """Make sure that files are what they were when they were checked.

        Those of another size or time are hashed; one that was merely copied or touched is the same.

        Args:
            paths: the files.
            content: hash all of them, and refuse those that never were checked.
            progress: told how many are hashed, out of how many.

        Raises:
            DataError: naming the files that changed, or of which nothing is noted.
        """
        paths = _absolute(paths)
        known = [path for path in paths if path in self._files]
        if content and len(known) < len(paths):
            missing = self._names([path for path in paths if path not in self._files])
            raise DataError(
                f"{len(missing)} of {len(paths)} files were never checked, so nothing tells whether they changed: "
                f"{listed(missing)}",
                hint="check them with platform data check, or leave out dataset.verify_content",
            )
        doubtful = [path for path in known if content or _state(path) != self._files[path][:2]]
        changed = [path for path, digest in _hashes(doubtful, progress) if digest != self._files[path][2]]
        if changed:
            raise DataError(
                f"{len(changed)} files changed since they were checked: {listed(self._names(changed))}", hint=_HINT
            )

    def _names(self, paths: Sequence[str]) -> list[str]:
        return [path.removeprefix(f"{self._root}{os.sep}") for path in paths]


def _absolute(paths: Sequence[str]) -> list[str]:
    return [os.path.abspath(path) for path in paths]  # noqa: PTH100 (a hundred thousand times)


def _hashes(paths: Sequence[str], progress: Progress) -> list[tuple[str, str]]:
    """The hash of each file's content; empty where it cannot be read."""
    hashes: list[tuple[str, str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, digest in zip(paths, pool.map(_hash, paths), strict=True):
            hashes.append((path, digest))
            progress(len(hashes), len(paths))
    return hashes


def _hash(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).hexdigest()
    except OSError:
        return ""


def _state(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)  # noqa: PTH116 (a hundred thousand times)
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
