"""Writing files and folders so that whatever ends the process leaves the old one or the new one, never a part.

A draft is written beside its destination under an unpredictable name, synced to disk and renamed. Errors of the disk
become one error that names the path, see `writing`.
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
"""Ending of the names of drafts, which start with a dot."""

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
    """Within the block, errors of the disk become an error that names the path and the free space there.

    Raises:
        ResourceError: the disk is full, read-only or failing, or the path is not writable.
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
            hint="free space, change the folder's permissions, or choose another folder",
        ) from error


def disk_reason(error: BaseException) -> str | None:
    """The reason, in words, if an error (OSError, or one of FFmpeg's) comes from the disk."""
    if _is_vague(error) and _CUT_SHORT.search(str(error)):
        return "not all of it could be written"
    number = getattr(error, "errno", None)
    return _REASONS.get(number) if isinstance(number, int) else None


def _is_vague(error: BaseException) -> bool:
    """Whether an error does not say why, like those of numpy and Pillow on a full disk."""
    return isinstance(error, OSError) and error.errno is None


def free_space(path: Path) -> int:
    """Free bytes where a path is, or would be; 0 if unknown."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder and its parents, if they do not exist.

    Args:
        path: the folder.
        mode: permissions of a new one, less the umask; 0o700 if others must not read it.

    Raises:
        ResourceError: as `writing`.
    """
    with writing(path):
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be written to, or cannot be made; leaves nothing behind.

    Raises:
        ResourceError: as `writing`.
    """
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if _exists(folder))
    with writing(path):
        try:
            Path(tempfile.mkdtemp(prefix=".", suffix=DRAFT, dir=there)).rmdir()  # permissions are not the whole truth
        except FileNotFoundError:  # /proc and the like
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there)) from None


def _exists(path: Path) -> bool:
    """Whether a path exists, even as a broken link."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def replace_path(path: Path) -> Iterator[Path]:
    """Give the name of a draft, for libraries that open files by name; it takes its place when the block ends.

    Args:
        path: the destination; its folder is there.

    Raises:
        ResourceError: as `writing`.
    """
    draft = _draft_of(path)
    try:
        with writing(path):
            yield draft
            sync(draft)
            draft.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def replace_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file for writing; it takes its place when the block ends, unless the block raises.

    Args:
        path: the destination; its folder exists.
        mode: permissions, less the umask.

    Raises:
        ResourceError: as `writing`.
    """
    # Exclusive, so that a link planted under this name is not followed.
    with replace_path(path) as draft, open(draft, "xb", opener=partial(os.open, mode=mode)) as file:
        yield file


@contextmanager
def replace_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """Make a folder to be filled; when the block ends it takes its place, with all its files synced.

    Args:
        path: the destination, which must not exist by then; its parent exists.
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
    """As `replace_folder`, for a destination that can exist: its content is deleted once all is written.

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
    """Write a file unless it exists, even if another process makes it at the same time; complete or not at all.

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
    """A value as JSON: NaN and infinities, which JSON does not have, become null, other unknown types text."""
    return json.dumps(_without_non_finite(value), indent=indent, default=str, allow_nan=False)


def _without_non_finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if the file does not exist.

    Raises:
        DataError: it is damaged, or is not an object.
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
        raise DataError(f"{path} has to hold a JSON object, but holds {type(content).__name__}")
    return content


def set_aside(path: Path, folder: Path | None = None) -> Path:
    """Rename what is to be deleted, as deleting takes longer: a kill leaves no part of it under its name.

    Args:
        path: a file or folder; nothing happens where there is none.
        folder: where to put it, of the same disk; default: where it is.

    Returns:
        The new name, one of a draft.
    """
    draft = _draft_of(folder / path.name if folder else path)
    with suppress(FileNotFoundError):
        path.rename(draft)
    return draft


def remove_drafts(folder: Path, age: float = 0) -> None:
    """Delete the drafts of killed writers.

    Args:
        folder: where to look, without the folders below it.
        age: seconds since the last write to a draft, since other processes can still be writing.
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
    """Sync a file's content, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}-{secrets.token_hex(8)}{DRAFT}")


def default_cache() -> Path:
    """``medvid`` in the folder XDG_CACHE_HOME, or in ~/.cache where that is not an absolute path."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache")) / "medvid"
