"""Looking at all cases in parallel, and keeping what was found out in the cache of the data set."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from medvid.data.cache_folder import entry_path, make_cache, touch
from medvid.data.dataset import Progress
from medvid.data.problems import raise_together
from medvid.data.volumes.cache import PROCESS_BYTES
from medvid.digests import digest_of
from medvid.errors import DataError
from medvid.files import make_folder, replace_folder
from medvid.machine import usable_cores, usable_memory
from medvid.parallel import map_in_processes

Fact = TypeVar("Fact")

_HERE = 5.0
_FILE = "meta.json"


def look_at_all(look: Callable[[str], Fact], cases: Sequence[str], progress: Progress) -> list[Fact]:
    """Find out the facts of cases, in several processes if it takes long.

    Args:
        look: finds out those of a case; can be pickled.
        cases: ids.
        progress: called with (done, total).

    Returns:
        In the order of the ids.

    Raises:
        DataError: cases cannot be used; all of them are named.
        ResourceError: the cache cannot be written to, or a process died.
    """
    workers = max(1, min(usable_cores(), len(cases), usable_memory() // PROCESS_BYTES))
    found: dict[str, Fact] = {}
    errors: dict[str, DataError] = {}
    progress(0, len(cases))
    setup = partial(torch.set_num_threads, 1)
    for case, fact in map_in_processes(partial(_caught, look), cases, workers, here=_HERE, setup=setup):
        if isinstance(fact, DataError):
            errors[case] = fact
        else:
            found[case] = fact
        progress(len(found) + len(errors), len(cases))
    raise_together([errors[case] for case in cases if case in errors])
    return [found[case] for case in cases]


def kept(
    cache: Path,
    key: Sequence[Any],
    load: Callable[[Path], Fact],
    find_out: Callable[[], Fact],
    write: Callable[[Fact, Path], None],
) -> Fact:
    """Facts from the cache, else found out and put there.

    Args:
        cache: its folder.
        key: JSON values that say what they are of: kind, version, and content of files.
        load: reads them from the folder of an entry; OSError, ValueError, KeyError or TypeError where it cannot.
        find_out: finds them out.
        write: writes them into the folder of an entry.
    """
    path = entry_path(cache.expanduser(), digest_of(json.dumps(key).encode()))
    touch(path)
    try:
        return load(path)
    except (OSError, ValueError, KeyError, TypeError):
        fact = find_out()
    make_cache(cache.expanduser())
    make_folder(path.parent, 0o700)
    if not path.exists():
        try:
            with replace_folder(path, 0o700) as draft:
                write(fact, draft)
        except FileExistsError:  # another process was faster
            pass
    return fact


def load_values(folder: Path) -> dict[str, Any]:
    """The JSON object in the folder of an entry; ValueError where it is not one."""
    found = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError(f"{folder / _FILE} is not an object")
    return found


def write_values(values: Mapping[str, Any], folder: Path) -> None:
    """Write a JSON object into the folder of an entry."""
    (folder / _FILE).write_text(json.dumps(values), encoding="utf-8")


def _caught(look: Callable[[str], Fact], case: str) -> Fact | DataError:
    try:
        return look(case)
    except DataError as error:
        return error
