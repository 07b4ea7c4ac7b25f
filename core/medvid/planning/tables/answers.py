"""How frequent answers are, and whether training cases are to be drawn by them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from medvid.data.tables.dataset import AnsweredDataset
from medvid.planning.draft import Draft
from medvid.plugin.info import UNKNOWN

_UNEVEN = 3
"""Times by which the most frequent answer exceeds the rarest one from which on cases are drawn evenly."""

_SHOWN = 30
"""Names that get a line each."""


def answers_in_words(dataset: AnsweredDataset) -> Iterator[str]:
    """A line on each class or finding, or on the range of each number."""
    answers = _answers(dataset)
    target = dataset.target_info
    if target.what == "value":
        for number, (name, unit) in enumerate(zip(target.names, target.units, strict=True)):
            known = answers[~np.isnan(answers[:, number]), number]
            if known.size:
                mean, spread = known.mean(), known.std()
                yield f"{name}: {known.min():.3g} to {known.max():.3g} {unit} (mean {mean:.3g}, deviation {spread:.3g})"
        return
    counts = frequencies(dataset)
    if len(counts) > _SHOWN:
        what, low, high = "classes" if target.what == "class" else "labels", min(counts.values()), max(counts.values())
        yield f"{len(counts)} {what} in {low} to {high} of {len(answers)} cases each"
    else:
        yield from (f"{name}: {count} of {len(answers)} cases" for name, count in counts.items())
    unknown = int((answers == UNKNOWN).sum())
    if unknown:
        yield f"Unknown: {unknown} answers, which are not learnt from."


def frequencies(dataset: AnsweredDataset) -> Mapping[str, int]:
    """Cases of each class, or with each finding."""
    answers, names = _answers(dataset), dataset.target_info.names
    if dataset.target_info.what == "class":
        return {name: int((answers[:, 0] == number).sum()) for number, name in enumerate(names)}
    return {name: int((answers[:, number] == 1).sum()) for number, name in enumerate(names)}


def put_balance(draft: Draft, dataset: AnsweredDataset) -> None:
    """Draw classes, or findings, equally often where some are rare."""
    what = dataset.target_info.what
    if what == "value":
        return
    counts = {name: count for name, count in frequencies(dataset).items() if count}
    if counts and max(counts.values()) > _UNEVEN * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        option = "classes" if what == "class" else "labels"
        draft.put("train.balance", option, f"{counts[most]} cases of {most}, {counts[least]} of {least}")


def _answers(dataset: AnsweredDataset) -> Any:
    """(cases, answers)."""
    return np.array([np.atleast_1d(case.answer) for case in dataset.index.cases.values()], dtype=float)
