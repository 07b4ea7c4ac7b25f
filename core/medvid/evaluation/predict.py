"""Infers new files, of which some may not be readable."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from lightning_fabric import Fabric
from torch import nn

from medvid.data.dataset import Case
from medvid.errors import DataError
from medvid.evaluation.evaluator import Inference, Prediction, Writer
from medvid.evaluation.inference.cases import infer_cases

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def predict_cases(
    fabric: Fabric, model: nn.Module, inference: Inference, writer: Writer, cases: Iterable[Case], folder: Path
) -> Generator[tuple[Case, Prediction | DataError], None, None]:
    """Infer new cases, and write their predictions below folder.

    Args:
        fabric: launched.
        model: on its device.
        inference: from cases to answers.
        writer: from these answers to files.
        cases: with names of their own.
        folder: where the predictions go.

    Yields:
        Each case with its prediction, which is written by then, or with the reason why there is none. Of later cases,
        only those that were inferred together with it may be written by then.

    Raises:
        NumericError: the model's output for a case is not finite.
    """
    waiting = {case.id: case for case in cases}

    @_or_its_error
    def load(name: str) -> object:
        return inference.load(waiting[name])

    @_or_its_error
    def write(inferred: object) -> Prediction:
        if isinstance(inferred, DataError):
            raise inferred
        return writer.write(inferred, folder)

    predicted = infer_cases(fabric, model, _Forgiving(inference), [*waiting], load, write, final=True)
    with closing(predicted):
        for name, prediction in predicted:
            yield waiting.pop(name), prediction  # what a case has read goes with it


class _Forgiving:
    """An inference that returns the DataError of a case which is read while it is inferred, instead of raising it.

    Args:
        inference: of cases.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference, self.loads_ahead = inference, inference.loads_ahead
        self.cases_at_once, self.load = inference.cases_at_once, inference.load

    def infer(self, model: nn.Module, loaded: Sequence[Any], *, final: bool) -> Sequence[Any]:
        """See `Inference.infer`."""
        try:
            return self._inference.infer(model, loaded, final=final)
        except DataError as error:
            if len(loaded) > 1:
                raise
            return [error]


def _or_its_error(function: Callable[Arguments, Value]) -> Callable[Arguments, Value | DataError]:
    """The function, returning a DataError instead of raising it."""

    @wraps(function)
    def attempt(*args: Arguments.args, **more: Arguments.kwargs) -> Value | DataError:
        try:
            return function(*args, **more)
        except DataError as error:
            return error

    return attempt
