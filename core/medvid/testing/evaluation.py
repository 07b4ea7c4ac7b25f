"""The steps of an evaluator for one case, one after the other: what runs do side by side."""

from pathlib import Path
from typing import Any

from torch import nn

from medvid.config.evaluation import EVALUATION_OPTIONS
from medvid.config.explain import validate
from medvid.data.dataset import Case
from medvid.errors import ConfigError
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.evaluator import Evaluator, Prediction
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo, TargetInfo


def make_evaluator(host: Host, input_info: InputInfo, target_info: TargetInfo, **block: Any) -> Evaluator:
    """The evaluator of an evaluation block.

    Raises:
        ConfigError: what is wrong with the block.
    """
    options, problems = validate(EVALUATION_OPTIONS[target_info.where], block, host=host)
    if options is None:
        raise ConfigError("; ".join(problem.message for problem in problems))
    return build_evaluator(options, input_info, target_info, host)


def evaluate_case(evaluator: Evaluator, model: nn.Module, case: Case, *, final: bool, folder: Path) -> list[Any]:
    """Load, infer and score a case; returns its rows."""
    [inferred] = evaluator.inference.infer(model, [evaluator.inference.load(case)], final=final)
    return evaluator.scorer.score(inferred, final=final, folder=folder)


def predict_case(evaluator: Evaluator, model: nn.Module, case: Case, folder: Path) -> Prediction:
    """Load and infer a case, and write its prediction below folder."""
    [inferred] = evaluator.inference.infer(model, [evaluator.inference.load(case)], final=True)
    return evaluator.scorer.write(inferred, folder)
