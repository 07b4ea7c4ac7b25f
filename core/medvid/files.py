"""Writing files and folders so that whatever ends the process leaves the old one or the new one, never a part.

A draft is written beside its destination under a name that nobody can foresee, synced to disk and renamed. What a disk
refuses becomes one error that names the path, see `writing`. Imports nothing heavy.
"""

import errno
import json
import math
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from medvid.errors import DataError, ResourceError

DRAFT = ".draft"
"""How the name of what is still being written ends; it starts with a dot."""

_REASONS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EROFS: "it is on a read-only file system",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk failed",
    errno.ENOTDIR: "a file is in the way",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its links lead in a circle",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}
_CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
_NOTHING = 1 << 16
"""Bytes; with less than that, a disk is full."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within the block, what the disk refuses is an error that names the path and how much is free there.

    Raises:
        ResourceError: the disk is full, read-only or failing, or the path may not be written.
    """
    try:
        yield
    except Exception as error:
        reason = disk_reason(error)
        if reason is None and _is_vague(error) and free_space(path) < _NOTHING:
            reason = _REASONS[errno.ENOSPC]
        if reason is None:
            raise
        raise ResourceError(
            f"cannot write {path}: {reason}; {free_space(path) / 2**20:.1f} MiB are free there",
            hint="make room or see to the folder's permissions, or choose another folder",
        ) from error


def disk_reason(error: BaseException) -> str | None:
    """What a disk refuses, in words, if that is what an error says: OSError, or one of FFmpeg's."""
    if _is_vague(error) and _CUT_SHORT.search(str(error)):
        return "not all of it could be written"
    number = getattr(error, "errno", None)
    return _REASONS.get(number) if isinstance(number, int) else None


def _is_vague(error: BaseException) -> bool:
    """Whether an error does not say why, as those of numpy and Pillow at a full disk."""
    return isinstance(error, OSError) and error.errno is None


def free_space(path: Path) -> int:
    """Bytes that are free where a path is, or would be; 0 where that cannot be told."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder and those around it, if they are not there.

    Args:
        path: the folder.
        mode: permissions of a new one, less the umask; 0o700 for what others must not read.

    Raises:
        ResourceError: as `writing`.
    """
    with writing(path):
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be written, or be made where it is not there yet; leaves nothing behind.

    Raises:
        ResourceError: as `writing`.
    """
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if _exists(folder))
    with writing(path):
        try:
            Path(tempfile.mkdtemp(prefix=".", suffix=DRAFT, dir=there)).rmdir()  # permissions do not tell all
        except FileNotFoundError:  # /proc and the like
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there)) from None


def _exists(path: Path) -> bool:
    """Whether something is there; a link that leads nowhere too."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def replace_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file to be written; it takes its place when the block ends, unless that raises.

    Args:
        path: the destination; its folder is there.
        mode: permissions, less the umask.

    Raises:
        ResourceError: as `writing`.
    """
    draft = _draft_of(path)
    try:
        with writing(path):
            # Exclusive, so that a link planted under this name is not followed.
            with open(draft, "xb", opener=partial(os.open, mode=mode)) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """Make a folder to be filled; with all its files synced it takes its place when the block ends.

    Args:
        path: the destination, which must not be there by then; its parent is there.
        mode: permissions, less the umask.

    Raises:
        ResourceError: as `writing`.
        FileExistsError: another process has put something there meanwhile.
    """
    draft = _draft_of(path)
    try:
        with writing(path):
            draft.mkdir(mode)
            yield draft
            for place in (*draft.rglob("*"), draft):
                sync(place)
            if path.exists():  # renaming would replace an empty folder
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            draft.rename(path)
            sync(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def replaced_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """As `replace_folder`, for a destination that may be there: what it holds goes when all is written.

    Raises:
        ResourceError: as `writing`.
    """
    with replace_folder(path, mode) as draft:
        yield draft
        if path.is_dir():
            shutil.rmtree(path)


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file, complete or not at all; its permissions are `mode`, less the umask.

    Raises:
        ResourceError: as `writing`.
    """
    with replace_file(path, mode) as file:
        file.write(content)


def create_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file unless it is there, be it that another process makes it at the same time; complete or not at all.

    Raises:
        ResourceError: as `writing`.
    """
    draft = _draft_of(path)
    write_bytes(draft, content, mode)
    try:
        with writing(path), suppress(FileExistsError):
            os.link(draft, path)
            sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a UTF-8 file, complete or not at all; its permissions are `mode`, less the umask.

    Raises:
        ResourceError: as `writing`.
    """
    write_bytes(path, text.encode(errors="surrogateescape"), mode)


def write_json(path: Path, value: Mapping[str, Any], mode: int = 0o666) -> None:
    """Write a JSON object, see `json_text`, complete or not at all; its permissions are `mode`, less the umask.

    Raises:
        ResourceError: as `writing`.
    """
    write_text(path, json_text(value, indent=2) + "\n", mode)


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON: NaN and infinities, which JSON does not have, are null; what else it does not know is text."""
    return json.dumps(_without_non_finite(value), indent=indent, default=str, allow_nan=False)


def _without_non_finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is no such file.

    Raises:
        DataError: it is damaged, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as JSON: {error}", hint="it was damaged after it was written: restore or delete it"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} has to hold a JSON object, it holds {type(content).__name__}")
    return content


def remove_drafts(folder: Path, age: float = 0) -> None:
    """Delete what writers left behind that were killed.

    Args:
        folder: where to look, not in the folders below it.
        age: seconds that a draft has not been written to, as other processes may be at work.
    """
    for draft in folder.glob(f".*{DRAFT}"):
        with suppress(OSError):
            if draft.lstat().st_mtime > time.time() - age:
                continue
            if draft.is_dir() and not draft.is_symlink():
                shutil.rmtree(draft)
            else:
                draft.unlink()


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}-{secrets.token_hex(8)}{DRAFT}")
