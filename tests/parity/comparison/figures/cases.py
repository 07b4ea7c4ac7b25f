"""The cases of a fixture of figures, and the rules by which each recorded figure is computed here."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from comparison.checks import Check
from comparison.fixture import UnknownFormatError
from medvid.errors import DataError

EXACT, SINGLE = 1e-9, 1e-6
"""Relative tolerances: of double precision, and of libraries that compute in single precision."""
SMALLEST = 1e-3
"""What is published to be less counts as that much, so that EXACT is 1e-12 about 0."""
SINGLE_PRECISION = ("torchmetrics", "monai", "soft_skeleton")
PARAMETERS = (
    *("threshold", "thresholds", "rule", "background", "checked"),
    *("dilation", "volume_threshold_mm3", "annotated", "diagonal"),
)
"""Expected entries that say how the others were computed."""


@dataclass(frozen=True)
class Case:
    """A case of a fixture: its name, input arrays by their last name, what was recorded, and what was said of it."""

    name: str
    arrays: Mapping[str, np.ndarray]
    expected: Mapping[str, Any]
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Of masks, in mm."""
        return tuple(self.said["spacing"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


Rule = Callable[[Case, re.Match[str]], Any]
Rules = Mapping[str, Rule]
"""By a pattern of the keys of a recorded figure, joined by " > "."""


def read_cases(path: Path) -> list[Case]:
    """Read a .json file and the tensors beside it."""
    tensors, recorded = load_file(path.with_suffix(".safetensors")), json.loads(path.with_suffix(".json").read_text())
    return [
        Case(name, _arrays(name, case, tensors), case["expected"], case) for name, case in recorded["cases"].items()
    ]


def _arrays(name: str, case: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs, which may be "those of" another case."""
    inputs = case["inputs"]
    owner = inputs.removeprefix("those of ") if isinstance(inputs, str) else name
    return {key.removeprefix(f"{owner}."): value for key, value in tensors.items() if key.startswith(f"{owner}.")}


def compare_case(case: Case, rules: Rules) -> Iterator[Check]:
    """Compare each recorded figure; one check stands for all that agree.

    Raises:
        UnknownFormatError: a figure that no rule computes.
    """
    checks = [_check(case, key, value, rules) for key, value in leaves(case.expected)]
    passed = [check for check in checks if check.passed]
    worst = max((check.difference for check in passed if check.tolerance == EXACT), default=0.0)
    yield Check(f"{case.name}, {len(passed)} figures", worst, EXACT)
    yield from (check for check in checks if not check.passed)


def leaves(expected: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The recorded figures by their keys, without what says how they were computed."""
    for key, value in expected.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{key} > ")
        elif key not in PARAMETERS:
            yield f"{above}{key}", value


def _check(case: Case, key: str, recorded: Any, rules: Rules) -> Check:
    found = [(rule, match) for pattern, rule in rules.items() if (match := re.fullmatch(pattern, key))]
    if len(found) != 1:
        raise UnknownFormatError(f"{case.name}: {len(found)} rules compute {key!r}")
    [(rule, match)] = found
    single = any(name in key for name in SINGLE_PRECISION)
    return Check(f"{case.name}: {key}", _difference(rule(case, match), recorded), SINGLE if single else EXACT)


def _difference(ours: Any, recorded: Any) -> float:
    """The largest relative difference; infinite where one is undefined or of another shape than the other."""
    mine, theirs = np.asarray(ours, float), _numbers(recorded)
    if mine.shape != theirs.shape:
        return math.inf
    same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        differences = np.abs(mine - theirs) / np.maximum(np.abs(theirs), SMALLEST)
    return float(np.nan_to_num(np.where(same, 0.0, differences), nan=math.inf).max(initial=0.0))


def _numbers(recorded: Any) -> np.ndarray:
    """With NaN for null and for what a library raises on, and infinity for "inf"."""
    if isinstance(recorded, list):
        return np.array([_numbers(value) for value in recorded])
    undefined = recorded is None or str(recorded).startswith("raises ")
    return np.array(math.nan if undefined else float(recorded))


def compare_refusal(case: Case, score: Callable[[Case], object]) -> Check:
    """Scores that are not finite: whatever libraries make of them, ours refuses, naming the first such case."""
    try:
        score(case)
    except DataError as error:
        values = case["score" if "score" in case.arrays else "prediction"]
        named = f"number {np.flatnonzero(~np.isfinite(values))[0]}:" in str(error)
        return Check(f"{case.name}, refused", 0.0 if named else math.inf, 0)
    return Check(f"{case.name}, refused", math.inf, 0)
