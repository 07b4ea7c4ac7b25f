"""What is compared: a run, an evaluation of one, or a configuration of a study, with the rows of its cases."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medvid.errors import ConfigError, DataError
from medvid.evaluation.metrics.figure import Better
from medvid.files import read_json
from medvid.runs.folder import RunFolder, is_run_folder
from medvid.sentences import listed
from medvid.studies.figures import Figures, figures_of
from medvid.studies.pooled import Answers, answers_of
from medvid.studies.rows import Row, group_of, key_of, read_rows

CASES, SUMMARY = "cases.csv", "summary.json"


@dataclass(frozen=True, slots=True)
class Side:
    """The answers of one model, or of the folds and seeds of one.

    Args:
        name: of the run, or of the configuration.
        source: the folder that it was read from.
        rows: of all its cases, by seed; those of its folds together.
        summary: of the run, or of one of them: its metrics, and which way they are better.
        digests: of the data of cases, where they are known.
        group: finds the patient in a case's name, where rows do not name patients.
    """

    name: str
    source: Path
    rows: Mapping[str, Sequence[Row]]
    summary: Mapping[str, Any]
    digests: Mapping[str, str] = field(default_factory=dict)
    group: re.Pattern[str] | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its figures."""
        return tuple(self.summary["metrics"])

    @property
    def cases(self) -> set[str]:
        """The ids of its cases."""
        return {row["case"] for rows in self.rows.values() for row in rows}

    @property
    def monitor(self) -> str:
        """The metric that chooses the best weights, else the first."""
        return str(self.summary.get("monitor") or next(iter(self.metrics), ""))

    def better(self, metric: str) -> Better:
        """Which way a metric is better; empty where neither is."""
        found: Better = self.summary["better"].get(metric.partition("/")[0], "")
        return found

    def groups(self, pattern: re.Pattern[str] | None) -> dict[str, str]:
        """Whose each case is, and each frame."""
        return {
            key: group_of(row, pattern)
            for rows in self.rows.values()
            for row in rows
            for key in (row["case"], key_of(row))
        }

    def truths(self) -> dict[tuple[str, str], str]:
        """What is true of each case, or frame, as rows have it, by it and a name; nothing of masks and maps."""
        return {
            (key_of(row), column): row[column]
            for rows in self.rows.values()
            for row in rows
            for column in row
            if column.startswith("truth/") or (column == "label" and "predicted" in row)
        }

    def figures(self, metric: str) -> Figures | None:
        """The figure of each case, the mean over the seeds that have it; None where the metric is not of cases."""
        of_seeds = self.figures_by_seed(metric)
        if of_seeds is None:
            return None
        keys, names = (
            tuple(dict.fromkeys(x for one in of_seeds for x in getattr(one, of))) for of in ("keys", "names")
        )
        values = np.stack([one.at(keys, names) for one in of_seeds])
        counts = (~np.isnan(values)).sum(axis=0)
        means = np.divide(np.nansum(values, axis=0), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
        return Figures(keys, names, means)

    def figures_by_seed(self, metric: str) -> list[Figures] | None:
        """The figure of each case with each seed; None where the metric is not a mean over cases."""
        found = [figures_of(rows, metric) for rows in self.rows.values()]
        some = [one for one in found if one is not None]
        return some if len(some) == len(found) else None

    def answers(self, metric: str) -> list[Answers] | None:
        """The answers of each seed for a metric of all of them together; None where rows do not suffice for it."""
        found = [answers_of(rows, metric) for rows in self.rows.values()]
        some = [one for one in found if one is not None]
        return some if len(some) == len(found) else None


def read_side(path: Path) -> Side:
    """A run, an evaluation of a run, or a folder of `platform score`.

    Raises:
        ConfigError: it is none of these, or has not finished.
        DataError: its files are damaged.
    """
    folder = path.absolute()
    if not (folder / SUMMARY).is_file() or not (folder / CASES).is_file():
        begun = is_run_folder(folder)
        raise ConfigError(
            f"{path} has no {CASES} and {SUMMARY}" + (": the run has not finished" if begun else ""),
            hint=f"finish it: platform run --resume {path}"
            if begun
            else "give run folders, folders of evaluations, runs/<task>/<run>/evaluations/<evaluation>, or studies",
        )
    return Side(
        folder.name, folder, {"": check_once(read_rows(folder / CASES), path)}, read_summary(folder), digests_of(folder)
    )


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary beside a cases.csv.

    Raises:
        DataError: it is damaged, or does not say which way figures are better.
    """
    summary = read_json(folder / SUMMARY)
    if not isinstance(summary.get("metrics"), Mapping):
        raise DataError(f"{folder / SUMMARY} has no metrics", hint="evaluate the run again: platform evaluate RUN")
    if not isinstance(summary.get("better"), Mapping):
        raise DataError(
            f"{folder / SUMMARY} does not say which way its figures are better: an earlier version wrote it",
            hint="evaluate the run again, platform evaluate RUN, and give the folder that it names",
        )
    return summary


def check_once(rows: Sequence[Row], where: Path) -> Sequence[Row]:
    """The rows, none of which is there twice.

    Raises:
        DataError: naming cases that are.
    """
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = key_of(row), row.get("label", "") if "state" in row else row.get("value", "")
        counts[key] = counts.get(key, 0) + 1
    if twice := [f"{case} {name}".rstrip() for (case, name), count in counts.items() if count > 1]:
        raise DataError(
            f"{where} has rows of the same case twice: {listed(twice)}", hint="each case has to be scored by one fold"
        )
    return rows


def digests_of(folder: Path) -> dict[str, str]:
    """The digest of each case's data that the run of a folder remembers; empty where that is not known."""
    run = folder.parent.parent if folder.parent.name == "evaluations" else folder
    if run != folder and read_json(folder / SUMMARY).get("data") == "external":
        return {}
    origin = read_json(RunFolder(run).origin)
    return {case: str(known["digest"]) for cases in origin.get("splits", {}).values() for case, known in cases.items()}
