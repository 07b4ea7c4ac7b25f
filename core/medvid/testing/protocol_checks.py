"""Checks of protocols: cases of a toy data set, inferred by a model that is always right."""

import math
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from medvid.config.axes import SLICES
from medvid.config.evaluation import EVALUATION_OPTIONS
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.evaluator import Evaluator
from medvid.plugin.info import InputInfo, TargetInfo, described
from medvid.plugin.specs import Axes, ProtocolSpec, What, Where
from medvid.testing.check import Check, Subject, expect
from medvid.testing.evaluation import predict_case
from medvid.testing.targets import NAMES, toy_target
from medvid.testing.toy import ToyDataset, ToyOptions

_ROUNDING = 1e-6  # of values that are averaged over windows
SIZES: dict[Axes, tuple[int, ...]] = {"image": (16, 16), "volume": (16, 16, 8), "video": (4, 16, 16)}


@dataclass(frozen=True)
class ProtocolSubject(Subject):
    """A protocol with one of its examples."""

    @cached_property
    def targets(self) -> tuple[TargetInfo, ...]:
        """What it is to score, with three names, or two where it takes no more."""
        spec = cast(ProtocolSpec, self.spec)
        cells = [(where, what) for where in spec.where for what in spec.what]
        found = [self._accepted(where, what) for where, what in cells]
        return tuple(target for target in found if target)

    def _accepted(self, where: Where, what: What) -> TargetInfo | None:
        for names in (NAMES, NAMES[:2]):
            with suppress(ValueError):
                self.options.check_target(target := toy_target(where, what, names))
                return target
        return None

    def evaluators(self) -> Iterator[tuple[str, Evaluator, ToyDataset]]:
        """An evaluator for each target and axes, in words, and a data set for it."""
        for target in self.targets:
            for axes in cast(ProtocolSpec, self.spec).axes:
                if (target.where, axes) == ("frame", "image"):
                    continue
                size = SIZES[axes]
                info = InputInfo(axes, 1, size)
                options = EVALUATION_OPTIONS[target.where].model_validate({"protocol": self.options, "figures": 1})
                evaluator = build_evaluator(options, info, target, self.host)
                words, dataset = described(target.where, target.what), ToyDataset(ToyOptions.of(info, target))
                yield f"{words} of {axes}s", evaluator, dataset


def check_files(subject: ProtocolSubject) -> None:
    """A new case becomes files."""
    for words, evaluator, dataset in subject.evaluators():
        case, model = dataset.open_case("validation/0"), _Right(dataset.target_info, dataset.input_info.axes)
        with tempfile.TemporaryDirectory() as folder:
            written = predict_case(evaluator, model, case, Path(folder) / "new").files
            expect(bool(written) and all(file.is_file() for file in written), f"{words}, nothing is written")


def check_figures(subject: ProtocolSubject) -> None:
    """Answers that are right have the best figure, each case its rows, and all figures are finite numbers."""
    for words, evaluator, dataset in subject.evaluators():
        inference, scorer, model = (
            evaluator.inference,
            evaluator.scorer,
            _Right(dataset.target_info, dataset.input_info.axes),
        )
        if inference.loads_ahead:
            inference = pickle.loads(pickle.dumps(inference))  # noqa: S301 (its own pickle)
        names = dataset.cases("validation")
        inferred = inference.infer(model, [inference.load(dataset.open_case(name)) for name in names], final=True)
        with tempfile.TemporaryDirectory() as folder:
            rows = [row for one in inferred for row in scorer.score(one, final=True, folder=Path(folder))]
        found = tuple(dict.fromkeys(row.get("case") for row in rows))
        expect(found == names, f"{words}, the rows name {found}, and not the cases that were inferred: {names}")
        figures = scorer.summarise(rows).metrics
        best = math.isclose(figures.get(scorer.monitor, math.nan), 1.0, abs_tol=_ROUNDING)
        expect(best, f"{words}, right answers have {scorer.monitor} {figures}, not 1")
        odd = [name for name, value in figures.items() if not math.isfinite(value)]
        expect(not odd, f"{words}, {odd} of right answers are not finite")


PROTOCOL_CHECKS: tuple[Check, ...] = (check_files, check_figures)


class _Right(torch.nn.Module):
    """Answers what the brightness of `ToyDataset`, less its noise, tells."""

    def __init__(self, target: TargetInfo, axes: Axes) -> None:
        super().__init__()
        self.names = torch.nn.Parameter(torch.arange(float(len(target.names))), requires_grad=False)
        self.target, self.axes = target, axes

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, 1, *S) to (B, N, *S), (B, T, N) or (B, N): more for what is right than for what is not."""
        brightness, names = input.round(), self.names.view(-1, *(1 for _ in input.shape[2:]))
        if self.target.what == "class":
            outputs = 1 - 2 * (brightness - names).abs()
        elif self.target.what == "labels":
            outputs = 20 * ((brightness / 2**names).floor() % 2 - 0.5)
        else:
            outputs = brightness + names
        if self.target.where == "frame":
            return outputs.movedim(2 + SLICES[self.axes], 1).flatten(3).mean(dim=-1)
        return outputs if self.target.where == "voxel" else outputs.flatten(2).mean(dim=-1)
