"""The facts of all cases, in parallel and kept in the cache."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from medvid.data.cache_folder import entry_path, make_cache, touch
from medvid.data.dataset import Progress
from medvid.data.problems import raise_together
from medvid.data.volumes.cache import PROCESS_BYTES
from medvid.data.volumes.content import fingerprint
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.files import CaseFiles
from medvid.digests import digest_of
from medvid.errors import DataError
from medvid.files import make_folder, replace_folder
from medvid.machine import usable_cores, usable_memory
from medvid.parallel import map_in_processes
from medvid.planning.volumes.facts import CaseFacts, read_facts
from medvid.planning.volumes.intensities import DRAWS

_VERSION = 1
"""Increase this when facts of older code must no longer be used."""
_HERE = 5.0


def survey(dataset: VolumeDataset, cases: Sequence[str], progress: Progress) -> list[CaseFacts]:
    """Find out the facts of labelled cases.

    Args:
        dataset: has the cases.
        cases: ids.
        progress: called with (done, total).

    Returns:
        In the order of the ids.

    Raises:
        DataError: cases cannot be used; all of them are named.
        ResourceError: the cache cannot be written to, or a process died.
    """
    draws = int(DRAWS // len(cases))
    look = partial(_look_up, dataset=dataset, draws=draws)
    workers = max(1, min(usable_cores(), len(cases), usable_memory() // PROCESS_BYTES))
    found: dict[str, CaseFacts] = {}
    errors: dict[str, DataError] = {}
    progress(0, len(cases))
    setup = partial(torch.set_num_threads, 1)
    for case, fact in map_in_processes(look, cases, workers, here=_HERE, setup=setup):
        if isinstance(fact, DataError):
            errors[case] = fact
        else:
            found[case] = fact
        progress(len(found) + len(errors), len(cases))
    raise_together([errors[case] for case in cases if case in errors])
    return [found[case] for case in cases]


def _look_up(case: str, dataset: VolumeDataset, draws: int) -> CaseFacts | DataError:
    try:
        files, scheme = dataset.files(case), dataset.options.label_scheme()
        content = asdict(fingerprint(files, dataset.formats))
        forced = dataset.formats.forced.model_dump(mode="json") if dataset.formats.forced else None
        key = digest_of(
            json.dumps(["facts", _VERSION, content, forced, scheme.names_of_ids, scheme.ids, draws]).encode()
        )
        path = entry_path(dataset.options.cache.expanduser(), key)
        touch(path)
        known = _load(path)
        return known or _build(files, dataset, draws, path)
    except DataError as error:
        return error


def _build(files: CaseFiles, dataset: VolumeDataset, draws: int, path: Path) -> CaseFacts:
    facts = read_facts(files, dataset.formats, dataset.options.label_scheme(), draws)
    make_cache(dataset.options.cache.expanduser())
    make_folder(path.parent, 0o700)
    if not path.exists():
        try:
            with replace_folder(path, 0o700) as draft:
                _write(facts, draft)
        except FileExistsError:  # another process was faster
            pass
    return facts


def _write(facts: CaseFacts, folder: Path) -> None:
    plain = asdict(replace(facts, drawn=()))
    for number, (values, times) in enumerate(facts.drawn):
        np.save(folder / f"values_{number}.npy", values)
        np.save(folder / f"times_{number}.npy", times)
    (folder / "meta.json").write_text(json.dumps(plain), encoding="utf-8")


def _load(path: Path) -> CaseFacts | None:
    try:
        plain = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        names = ("values", "times")
        drawn = [
            tuple(np.load(path / f"{name}_{number}.npy", "r", allow_pickle=False) for name in names)
            for number in range(len(plain["lowest"]))
        ]
        return CaseFacts(
            **{key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()} | {"drawn": tuple(drawn)}
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
