"""Folders of generated data: made once, complete or not at all, by any number of processes."""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medvid.errors import DataError
from medvid.files import make_folder, replaced_folder, writing

MARKER = "generated.json"
"""Written last: a folder that has it is complete."""


def generate_once(folder: Path, description: Mapping[str, Any], write: Callable[[Path], None]) -> None:
    """Fill a folder, unless it already holds just what is described.

    Args:
        folder: the folder to make; data generated there from another description is replaced.
        description: the generator and its options, as JSON values.
        write: fills an empty folder.

    Raises:
        DataError: the folder holds something else.
        ResourceError: it cannot be written, see `medvid.files.writing`.
    """
    make_folder(folder.parent)
    with writing(folder), _locked(folder):
        if _holds(folder, description):
            return
        if folder.exists() and not (folder / MARKER).exists():
            raise DataError(
                f"{folder} exists and was not made by the generator", hint="delete it, or choose another folder"
            )
        with replaced_folder(folder, 0o700) as draft:
            write(draft)
            (draft / MARKER).write_text(json.dumps(description, indent=1), encoding="utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time check the folder and fill it; the others wait and find it filled."""
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _holds(folder: Path, description: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads((folder / MARKER).read_text(encoding="utf-8")) == description)
    except (OSError, ValueError):
        return False
