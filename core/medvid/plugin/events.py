"""The information that lifecycle hooks get about a run: plain, frozen values that keep nothing alive on a device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

RunStatus = Literal["finished", "failed", "killed"]

Table = tuple[tuple[str, ...], ...]
"""Cells as text: the heading, the lines, and as the last line what sums them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One execution of a task.

    Args:
        name: unique name, also the name of the run folder and of the MLflow run.
        task: the task's name.
        folder: the run folder.
        config: the resolved task as plain JSON values; the folder of the data set may be an absolute path in it.
        seed: the seed every random number of the run is derived from.
        demo: True where the run uses demo data instead of the real data set.
        start_step: 0, or the step from which a resumed run continues.
        steps: the optimizer step at which training ends.
        device: what it runs on, e.g. ``"2 x NVIDIA A100, bf16"``.
        plugins: version per distribution that the run uses, by a component or by an observer.
        environment: versions, git commit and machine, as written to environment.json.
        datasets: per split, its name, the number of cases and a digest of their content; of the file of folds, if
            there is one, its index and digest.
        unverified: those of the distributions that are editable: no hash tells which code of theirs was run.
        extends: name of the run that this one goes on from with more steps; empty for any other.
    """

    name: str
    task: str
    folder: Path
    config: Mapping[str, Any]
    seed: int
    demo: bool
    start_step: int
    steps: int
    device: str
    plugins: Mapping[str, str]
    environment: Mapping[str, Any]
    datasets: Mapping[str, Mapping[str, Any]]
    unverified: tuple[str, ...] = ()
    extends: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The outcome of evaluating one split.

    Args:
        split: which cases were evaluated.
        step: the optimizer step of the weights.
        final: True for the closing evaluation of a run, False for those during training.
        metrics: headline figures, e.g. ``{"dice": 0.81, "dice/liver": 0.95}``; NaN where nothing could be scored.
        rows: one mapping per case (and label) with its figures.
        table: the figures for people.
        figures: picture files that were written.
        notes: sentences a reader has to know, e.g. how many empty cases were left out of which mean.
        better: higher, lower or empty where neither is, by what the metrics' names begin with; of a closing evaluation.
        monitor: the metric that chooses the best weights; of a closing evaluation.
    """

    split: str
    step: int
    final: bool
    metrics: Mapping[str, float]
    rows: tuple[Mapping[str, Any], ...] = ()
    table: Table = ()
    figures: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    better: Mapping[str, str] = field(default_factory=dict)
    monitor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended.

    Args:
        status: finished, failed or killed (by a signal, resumable).
        seconds: wall time of this execution.
        metrics: the closing evaluation's headline figures.
        best: the checkpoint with the best validation figure, if any.
        last: the newest checkpoint, if any.
    """

    status: RunStatus
    seconds: float
    metrics: Mapping[str, float]
    best: Path | None = None
    last: Path | None = None
