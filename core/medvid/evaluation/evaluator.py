"""An evaluator is an inference, which belongs to where a model predicts, times a scorer, which belongs to what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from medvid.data.dataset import Case
from medvid.evaluation.metrics.figure import Better
from medvid.plugin.events import Table


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of an evaluated split.

    Args:
        metrics: headline figures by name; ``metrics[Scorer.monitor]`` chooses the best checkpoint.
        table: the figures for people.
        notes: sentences a reader has to know, e.g. how many empty cases were left out of which mean.
        better: which way figures are better, by what their metrics' names begin with.
    """

    metrics: Mapping[str, float]
    table: Table = ()
    notes: tuple[str, ...] = ()
    better: Mapping[str, Better] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted for a new case.

    Args:
        files: what was written.
        lines: the prediction in words, where it can be said.
        row: the prediction as a row of the table of all of them, where it is a few plain values.
        table: the one of the files that has such a row for each frame.
    """

    files: tuple[Path, ...]
    lines: tuple[str, ...] = ()
    row: Mapping[str, Any] | None = None
    table: Path | None = None


class Inference(Protocol):
    """From a case to a model's answer. Pickled into loader processes where it loads ahead.

    While `infer` has the device, the next case is loaded and the one before scored or written, each in a thread of its
    own: so these steps may share nothing that changes.
    """

    loads_ahead: bool
    """Whether loader processes call `load` for the cases to come; else a thread does, for one."""

    def cases_at_once(self, device: torch.device) -> int:
        """How many cases `infer` gets at once on a device, so that those of few windows can share a batch."""
        ...

    def load(self, case: Case) -> Any:
        """Read what the other steps need of a case.

        If what it returns has a method ``pin_memory() -> Self``, as tensors have, that is called before it goes to a
        CUDA device.
        """
        ...

    def infer(self, model: nn.Module, loaded: Sequence[Any], *, final: bool) -> Sequence[Any]:
        """Infer cases, each of which has to get the answer that it would get alone, up to rounding.

        Its logits need not be finite: nothing may be written yet.

        Args:
            model: maps (B, C, *S) to logits; in eval mode.
            loaded: what `load` returned for each.
            final: whether `Scorer.score` with final, or `Scorer.write`, comes next.

        Returns:
            The answer for each case, on the host, and without its input.
        """
        ...


class Writer(Protocol):
    """From the answers for cases to files."""

    def write(self, inferred: Any, folder: Path) -> Prediction:
        """Write the prediction of a new case, which may have no annotation, below folder."""
        ...


class Scorer(Writer, Protocol):
    """From the answers for cases to figures, or to files."""

    monitor: str
    """Name of the metric (higher is better) that chooses the best checkpoint."""

    def score(self, inferred: Any, *, final: bool, folder: Path) -> list[dict[str, Any]]:
        """Score a case by its annotation.

        Args:
            inferred: of one case, as `Inference.infer` returned it.
            final: asks for every metric and for the prediction, written below folder; else only what `monitor` needs.
            folder: where predictions and pictures go.

        Returns:
            One row per label (or one for the case): plain values, always with a key ``"case"``.
        """
        ...

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases (from all devices) to the headline figures."""
        ...

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Draw the pictures of a closing evaluation, whose predictions are below folder; return the files."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What evaluates the cases of a target.

    Args:
        inference: from cases to answers.
        scorer: from these answers to figures.
    """

    inference: Inference
    scorer: Scorer
