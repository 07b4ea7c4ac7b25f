"""What is inferred of cases, one after the other, without the device waiting for the host."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import nn

from medvid.data.loading.batches import load_in_order
from medvid.data.loading.workers import HERE, Loading
from medvid.errors import DataError
from medvid.evaluation.evaluator import Inference
from medvid.evaluation.inference.model import InferenceModel
from medvid.evaluation.inference.pipeline import pipeline

Item = TypeVar("Item")
Result = TypeVar("Result")


def infer_cases(
    fabric: Fabric,
    model: nn.Module,
    inference: Inference,
    names: Sequence[str],
    load: Callable[[str], Any],
    finish: Callable[[Any], Result],
    *,
    final: bool,
    loading: Loading = HERE,
) -> Generator[tuple[str, Result], None, None]:
    """Load, infer and finish cases, in order, see `medvid.evaluation.inference.pipeline.pipeline`.

    Args:
        fabric: launched.
        model: on its device.
        inference: of the task's target.
        names: of the cases.
        load: reads a case, by loader processes if it loads ahead, else by a thread. It may return a
            DataError instead of raising it, which then stands for what was inferred of the case.
        finish: gets what was inferred of a case, in a thread.
        final: see `Inference.infer`.
        loading: in which processes; where it is in this one, a thread loads.

    Yields:
        A case's name, and what `finish` made of it.

    Raises:
        NumericError: the model's output for a case is not finite.
    """
    checked, pins = InferenceModel(fabric, model), fabric.device.type == "cuda"
    in_processes = inference.loads_ahead and loading.workers > 0

    def loaded_group(group: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        read = group if in_processes else [(name, load(name)) for name, _ in group]
        return [(name, one.pin_memory() if pins and hasattr(one, "pin_memory") else one) for name, one in read]

    def inferred_group(group: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        readable = dict(pair for pair in group if not isinstance(pair[1], DataError))
        found = checked.infer(inference, [*readable], [*readable.values()], final=final) if readable else ()
        return [*(dict(group) | dict(zip(readable, found, strict=True))).items()]

    @torch.inference_mode()  # holds for a thread alone; outside of it, what was inferred could not be changed in place
    def finished_group(group: Sequence[tuple[str, Any]]) -> list[tuple[str, Result]]:
        return [(name, finish(one)) for name, one in group]

    with ExitStack() as opened:  # closed also where an error, which is kept for a debugger, would keep them alive
        cases: Iterable[tuple[str, Any]] = ((name, None) for name in names)
        if in_processes:
            stream = opened.enter_context(closing(load_in_order(load, names, loading)))
            cases = zip(names, stream, strict=True)
        groups = _groups(cases, inference.cases_at_once(fabric.device))
        for finished in opened.enter_context(closing(pipeline(groups, loaded_group, inferred_group, finished_group))):
            yield from finished


def _groups(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    rest = iter(items)
    return iter(lambda: tuple(islice(rest, size)), ())
