"""Records what files held when they were checked, so that a later run notices changes.

One file per data set, in the cache: a size, a time of change and a hash of the content for each path.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from medvid.digests import digest_of
from medvid.errors import DataError
from medvid.files import make_folder, read_json, write_json
from medvid.sentences import listed

Progress = Callable[[int, int], None]

_THREADS = 8  # they wait for the disk, and hashing does not hold the interpreter's lock
_HINT = "check them again with platform data check, or restore them"


class CheckedFiles:
    """The recorded state of a data set's files.

    Args:
        cache: folder of the cache.
        root: the data set's folder.

    Raises:
        DataError: the record is damaged.
    """

    def __init__(self, cache: Path, root: Path) -> None:
        name = digest_of(os.fsencode(root.resolve()), 8)
        self.path = cache.expanduser() / "checked" / f"{name}.json"
        self._root = root.absolute()
        self._files: dict[str, tuple[int, int, str]] = {
            path: (size, time, digest) for path, (size, time, digest) in read_json(self.path).get("files", {}).items()
        }

    @property
    def any(self) -> bool:
        """Whether any file was ever checked."""
        return bool(self._files)

    def note(self, paths: Sequence[str], progress: Progress) -> None:
        """Hash files and record what they hold; records of other files are kept.

        Args:
            paths: the files.
            progress: called with the number of files hashed and the total.

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
        """Make sure that files are unchanged since they were checked.

        Files of another size or time are hashed; one that was merely copied or touched counts as unchanged.

        Args:
            paths: the files.
            content: hash all of them, and refuse files that were never checked.
            progress: called with the number of files hashed and the total.

        Raises:
            DataError: naming the files that changed or were never checked.
        """
        paths = _absolute(paths)
        known = [path for path in paths if path in self._files]
        if content and len(known) < len(paths):
            missing = self._names([path for path in paths if path not in self._files])
            raise DataError(
                f"{len(missing)} of {len(paths)} files were never checked, so changes to them cannot be detected: "
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
    """The hash of each file's content; empty for a file that cannot be read."""
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
