"""Several runs that predict together: which can be averaged, and the one model that they make."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from medvid.config.checked import CheckedTask, check_task
from medvid.config.task import Task
from medvid.errors import ConfigError
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.evaluator import Evaluator
from medvid.evaluation.inference.ensemble import Average, Averaged, Ensemble
from medvid.models.build import build_model
from medvid.runs.folder import RunFolder
from medvid.runs.origin import Origin, read_origin
from medvid.runs.session import Session
from medvid.runs.weights import load_trained

log = logging.getLogger("medvid")

_OWN = {
    "root", "cache", "if_missing", "split", "fold", "validation_fraction", "datalist", "missing", "augment", "patch",
    "has_unknown", "answers", "split_seed",
}  # fmt: skip
"""Options of data sets that say which cases are trained on, and how, but not what is made of a new file."""


@dataclass(frozen=True, slots=True)
class Member:
    """A run that predicts together with others.

    Args:
        folder: of the run.
        task: as it was trained, with the options of the prediction.
    """

    folder: RunFolder
    task: Task


@dataclass(frozen=True, slots=True)
class Joined:
    """What predicts for several runs.

    Args:
        model: of all of them, on its device.
        evaluator: that averages its outputs.
        averaged: what is averaged.
        steps: the optimizer steps of the weights of each.
    """

    model: nn.Module
    evaluator: Evaluator
    averaged: Averaged
    steps: list[int]


def load_members(
    session: Session, first: RunFolder, others: Sequence[Member], checkpoint: str, averaged: Averaged | None
) -> Joined:
    """Load the weights of all runs.

    Args:
        session: of the first run, whose options of evaluation count.
        first: its folder.
        others: the other runs.
        checkpoint: which weights of each, as for `load_trained`.
        averaged: what is averaged; default: logits of models of the same kind, else probabilities.

    Raises:
        ConfigError: they cannot be averaged.
        CheckpointError: weights are missing or damaged.
    """
    checked = session.checked
    models: list[nn.Module] = []
    steps: list[int] = []
    members = [check_task(other.task, checked.host) for other in others]
    _check_different([first, *(other.folder for other in others)])
    for other, theirs in zip(others, members, strict=True):
        if reason := why_apart(checked, theirs):
            raise ConfigError(
                f"{other.folder.path} cannot be averaged with {first.path}: {reason}",
                hint="predict with each by itself, into folders of their own",
            )
    for other, theirs in zip(others, members, strict=True):
        member = replace(session, checked=theirs, model=build_model(theirs))
        steps.append(load_trained(member, other.folder, checkpoint))
        models.append(member.model.eval())
    steps.insert(0, load_trained(session, first, checkpoint))  # the last, whose data set is remembered
    kind: Averaged = averaged or (
        "logits" if all(_is_of_one_kind(checked, theirs) for theirs in members) else "probabilities"
    )
    average = Average(1 + len(others), kind, checked.target_info.what)
    options = _common_postprocessing(checked.task, members).evaluation
    evaluator = build_evaluator(options, checked.input_info, checked.target_info, checked.host, average)
    return Joined(Ensemble([session.model.eval(), *models], checked.target_info.where), evaluator, kind, steps)


def joint_origin(first: Origin | None, others: Sequence[Member]) -> Origin | None:
    """What the first run began with, where the training cases are those of all; None where one of them is not known."""
    origins = [first, *(read_origin(other.folder) for other in others)]
    known = [origin for origin in origins if origin is not None]
    if first is None or len(known) < len(origins):
        return None
    trained = {case: record for origin in known for case, record in origin.splits["train"].items()}
    return replace(first, splits={**first.splits, "train": trained})


def why_apart(one: CheckedTask, other: CheckedTask) -> str:
    """Why the answers of two runs cannot be averaged; empty where they can."""
    pairs = {
        "it predicts {}, not {}": (one.target_info.names, other.target_info.names),
        "it predicts a target that is {}, not {}": (_target(one), _target(other)),
        "its inputs are {}, not {}": (_input(one), _input(other)),
        "its data set is {}, not {}": (one.task.dataset.name, other.task.dataset.name),
        "privacy.pseudonyms is {}, not {}": (one.task.privacy.pseudonyms, other.task.privacy.pseudonyms),
    }
    for sentence, (ours, theirs) in pairs.items():
        if ours != theirs:
            return sentence.format(_words(theirs), _words(ours))
    ours, theirs = (checked.task.dataset.model_dump(mode="json", exclude=_OWN) for checked in (one, other))
    for key in ours:
        if ours[key] != theirs[key]:
            return f"its inputs are prepared otherwise: dataset.{key} is {theirs[key]}, not {ours[key]}"
    return ""


def _words(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _target(checked: CheckedTask) -> str:
    return f"{checked.target_info.what} per {checked.target_info.where}"


def _input(checked: CheckedTask) -> str:
    info = checked.input_info
    return f"{info.axes}s of {' x '.join(map(str, info.size))} with {info.channels} channels"


def _is_of_one_kind(one: CheckedTask, other: CheckedTask) -> bool:
    """Whether the models are folds of one configuration, or seeds."""
    return (one.task.backbone, one.task.head) == (other.task.backbone, other.task.head)


def _check_different(folders: Sequence[RunFolder]) -> None:
    paths = [folder.path.resolve() for folder in folders]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise ConfigError(f"the run {twice[0]} is given twice, and would count twice")


def _common_postprocessing(task: Task, members: Sequence[CheckedTask]) -> Task:
    """The task without a post-processing that not all runs have chosen."""
    own = getattr(task.evaluation, "largest_component", ())
    if all(getattr(member.task.evaluation, "largest_component", ()) == own for member in members):
        return task
    log.warning(
        "the runs have chosen different post-processings, so there is none: name one, --set "
        "evaluation.largest_component=[all]"
    )
    return task.model_copy(update={"evaluation": task.evaluation.model_copy(update={"largest_component": ()})})
