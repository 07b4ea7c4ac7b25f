"""What is cheap to find out about the file, or folder of frames, of a clip, for a hundred thousand of them."""

import os
import stat
from pathlib import Path

from medvid.digests import digest_of

_PIECE = 1 << 14


def size_of(path: str) -> int:
    """Bytes of a file, or the number of names in a folder; 0 for what is missing, or neither."""
    try:
        state = os.stat(path)  # noqa: PTH116 (a hundred thousand times)
        if stat.S_ISDIR(state.st_mode):
            return len(os.listdir(path))  # noqa: PTH208 (likewise)
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def fingerprint_of(path: Path | str, part: tuple[int, int] | None = None) -> str:
    """A hash of the size and a piece from the middle of a file; of a folder, of its names and their middle file.

    Args:
        path: the file or folder.
        part: of the folder, see `medvid.data.videos.clips.Clip`.

    Raises:
        OSError: it cannot be read.
    """
    if not os.path.isdir(path):  # noqa: PTH112 (a hundred thousand times)
        return digest_of(_middle_of(str(path)))
    names = sorted(os.listdir(path))  # noqa: PTH208 (likewise)
    first, count = part or (0, len(names))
    middle = names[min(first + count // 2, len(names) - 1)] if names else ""
    said = "\0".join([*names, f"{first} {count}"])
    return digest_of(said.encode("utf-8", "surrogateescape") + _middle_of(os.path.join(path, middle)))  # noqa: PTH118


def _middle_of(path: str) -> bytes:
    size = os.stat(path).st_size  # noqa: PTH116 (likewise)
    with open(path, "rb") as file:  # noqa: PTH123 (likewise)
        file.seek(max(0, size // 2 - _PIECE // 2))
        return f"{size}\0".encode() + file.read(_PIECE)
