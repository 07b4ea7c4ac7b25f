"""The facts of all cases, in parallel and kept in the cache."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.volumes.content import fingerprint
from medvid.data.volumes.dataset import VolumeDataset
from medvid.planning.survey import kept, load_values, look_at_all, write_values
from medvid.planning.volumes.facts import CaseFacts, read_facts
from medvid.planning.volumes.intensities import DRAWS

_VERSION = 2
"""Increase this when facts of older code must no longer be used."""


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
    return look_at_all(partial(_look_up, dataset=dataset, draws=int(DRAWS // len(cases))), cases, progress)


def _look_up(case: str, dataset: VolumeDataset, draws: int) -> CaseFacts:
    files, scheme = dataset.files(case), dataset.options.label_scheme()
    content = asdict(fingerprint(files, dataset.formats))
    forced = dataset.formats.forced.model_dump(mode="json") if dataset.formats.forced else None
    key = ["facts", _VERSION, content, forced, scheme.names_of_ids, scheme.ids, draws]
    look = partial(read_facts, files, dataset.formats, scheme, draws)
    return kept(dataset.options.cache, key, _load, look, _write)


def _write(facts: CaseFacts, folder: Path) -> None:
    for number, (values, times) in enumerate(facts.drawn):
        np.save(folder / f"values_{number}.npy", values)
        np.save(folder / f"times_{number}.npy", times)
    write_values(asdict(replace(facts, drawn=())), folder)


def _load(folder: Path) -> CaseFacts:
    plain = load_values(folder)
    names = ("values", "times")
    drawn = [
        tuple(np.load(folder / f"{name}_{number}.npy", "r", allow_pickle=False) for name in names)
        for number in range(len(plain["lowest"]))
    ]
    return CaseFacts(
        **{key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()} | {"drawn": tuple(drawn)}
    )
