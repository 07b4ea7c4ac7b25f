"""Tables of answers scored against tables of the truth, whoever made them: the figures of cases without a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.tables.columns import PATIENTS, read_table
from medvid.errors import DataError
from medvid.evaluation.metrics.figure import definitions
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.protocols import ViewProtocol
from medvid.evaluation.table_pairs import frame_column, pair_rows
from medvid.evaluation.table_targets import Scored, Tables
from medvid.plugin.events import Table
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.plugin.specs import What, Where

MakeProtocol = Callable[[TargetInfo], ViewProtocol]


@dataclass(frozen=True, slots=True)
class TableScores:
    """What two tables say of each other.

    Args:
        names: of the classes, labels or values.
        rows: how many were scored.
        found: their figures; None where answers are classes without probabilities.
        metrics: all figures by name, those of a protocol first.
        table: that of a protocol, for people; empty where it has none.
        videos: a row for each video, where the protocol has figures of them.
        notes: on what was left out, and how cases were matched.
    """

    names: tuple[str, ...]
    rows: int
    found: TargetFigures | None
    metrics: Mapping[str, float]
    table: Table
    videos: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...]


def score_tables(
    predictions: Path,
    truth: Path,
    what: What,
    columns: Sequence[str] = (),
    *,
    classes: Sequence[str] = (),
    protocol: MakeProtocol | None = None,
    common: bool = False,
    resamples: int = 0,
) -> TableScores:
    """Score a table of answers, as `platform predict` writes it, against a table of the truth.

    Answers are probabilities, in a column for each class or label, or values, whose column may end in a
    unit: ``age (years)``. Rows are of cases, or, where both tables number frames (or slices), of these.

    Args:
        predictions: CSV file.
        truth: CSV file; an empty cell is unknown.
        what: what both hold.
        columns: of the truth: the one of the class, those of labels or values, or one that lists labels: "run; jump".
            Default: the one with a usual name, or all that both tables have.
        classes: names of the classes in their order; default: that of the columns of answers for frames, else that of
            the names.
        protocol: makes the one whose figures are wanted besides; it may refuse the target.
        common: score the cases that both have, and say what one of them lacks; else that is refused.
        resamples: of patients, or of cases where the truth names no patients, for intervals; 0: none.

    Raises:
        ConfigError: it is unclear which columns are meant.
        DataError: a table cannot be read, a cell is wrong, or cases of one are missing in the other.
    """
    answers, true = read_table(predictions), read_table(truth)
    pairs, notes = pair_rows(answers, true, common=common)
    patient = true.find(None, PATIENTS, "patient_column")
    owners = [pair.truth.cells[patient] if patient else pair.case for pair in pairs]
    drawn = np.array(owners) if patient or frame_column(answers, true) else None
    tables = Tables(answers, true, pairs, columns, classes, Resampling(drawn, resamples) if resamples else None)
    scored = {"class": tables.classes, "labels": tables.labels, "value": tables.values}[what]()
    own = _own_scores(scored, tables, what, protocol) if protocol else _Own({}, (), (), [])
    found = scored.found
    if found is None and not own.videos:
        raise DataError(
            f"{predictions} has no columns of probabilities, only decided classes",
            hint="add a column for each class, named like it, or score whole videos: --protocol phases",
        )
    return TableScores(
        scored.names,
        len(pairs),
        found,
        {**own.metrics, **(found.metrics if found else {})},
        own.table,
        own.videos,
        (*notes, *scored.notes, *own.notes, *(found.notes if found else ())),
    )


@dataclass(frozen=True, slots=True)
class _Own:
    """The figures that a protocol has besides medvid's."""

    metrics: Mapping[str, float]
    table: Table
    videos: Sequence[Mapping[str, Any]]
    notes: list[str]


def _own_scores(scored: Scored, tables: Tables, what: What, make: MakeProtocol) -> _Own:
    where: Where = "frame" if tables.frame else "case"
    protocol = make(TargetInfo(where, what, scored.names, scored.units, has_unknown=True))
    if protocol.videos and scored.predicted is not None:
        scores = protocol.videos.of(tables.videos(scored.truth, scored.predicted), None)
        return _Own(scores.metrics, scores.table, scores.rows, [*scores.notes, *definitions(protocol.videos.figures)])
    if protocol.figures is None or scored.answers is None:
        return _Own({}, (), (), [])
    if what == "class":
        known = scored.truth != UNKNOWN
        answers, truth = scored.answers[known], scored.truth[known]
    else:
        answers = scored.answers
        truth = np.where(scored.truth == UNKNOWN, np.nan, scored.truth) if what == "labels" else scored.truth
    return _Own(protocol.figures.of(answers, truth), (), (), definitions(protocol.figures.figures))
