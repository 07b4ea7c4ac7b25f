"""`platform profile`: the size of a model, how fast it answers and trains, and where the time goes."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medvid.config.checked import CheckedTask
from medvid.data.splits import cases_of_run
from medvid.devices.precision import precision_of
from medvid.evaluation.cases import evaluate_cases
from medvid.machine import usable_cores
from medvid.profiling.inference import InferenceSpeed, measure_inference
from medvid.profiling.timing import timed
from medvid.profiling.training import TrainingSpeed, measure_training
from medvid.runs.pseudonyms import pseudonyms_of
from medvid.runs.session import Session, launched_session
from medvid.runs.short_profile import size_of
from medvid.runs.verdict import verdict
from medvid.training.device import describe_device
from medvid.training.footprint import Footprint, estimate

Told = Callable[[str, int, int], None]
"""Told (stage, done, total)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What was counted and measured of a task.

    Args:
        device: what it was on.
        model: see `medvid.runs.short_profile.size_of`.
        memory: estimated; None where the model reads values of its tensors.
        inference: of random inputs.
        training: on the task's data; None without.
        validation: seconds for a case of the validation split; None without data.
        shares: of the time of a training with its validations, by part, as `medvid.runs.verdict` names them.
        verdict: on them.
    """

    device: str
    model: dict[str, Any]
    memory: Footprint | None
    inference: InferenceSpeed
    training: TrainingSpeed | None = None
    validation: float | None = None
    shares: dict[str, float] | None = None
    verdict: str = ""

    def as_json(self) -> dict[str, Any]:
        """For profile.json."""
        return asdict(self)


def profile_task(checked: CheckedTask, folder: Path, seconds: float, steps: int, progress: Told) -> Profile:
    """Count and measure a task on this machine; nothing is kept.

    Args:
        checked: the task.
        folder: an empty one, for what a validation writes.
        seconds: for each measurement of inference.
        steps: of training that are measured; 0: none.
        progress: told what is done.

    Raises:
        MedvidError: as a run of the task would.
    """
    with pseudonyms_of(checked.task) as pseudonyms, launched_session(checked, pseudonyms) as session:
        size = size_of(session.model, checked.input_info)
        memory = estimate(checked, session.model, session.fabric)
        model = session.model.to(session.fabric.device)
        progress("inference", 0, 1)
        inference = measure_inference(checked, model, session.fabric, seconds)
        progress("inference", 1, 1)
        found = Profile(describe_device(session.fabric), size, memory, inference)
        return _with_training(found, session, folder, steps, progress) if steps else found


def _with_training(found: Profile, session: Session, folder: Path, steps: int, progress: Told) -> Profile:
    task, dataset = session.task, session.dataset
    splits = cases_of_run(dataset, task.evaluation.split)
    validated = splits[task.evaluation.split]
    dataset.prepare([*dict.fromkeys([*splits["train"], *validated])], lambda *at: progress("prepare", *at))
    training = measure_training(session, splits["train"], steps, lambda *at: progress("train", *at))
    one = validated[len(validated) // 2]
    validation = timed(lambda: _validate(session, one, folder), session.fabric.device)
    hidden = session.fabric.device.type == "cuda"  # the copy, behind the step before
    shares = shares_of(training, validation, len(validated), task.evaluation.every, copy_is_hidden=hidden)
    said = verdict(shares, task, precision_of(session.fabric), usable_cores())
    return replace(found, training=training, validation=validation, shares=shares, verdict=said)


def _validate(session: Session, case: str, folder: Path) -> None:
    evaluate_cases(session.evaluation, session.model, [case], final=False, folder=folder, progress=lambda *_: None)


def shares_of(
    training: TrainingSpeed, validation: float, cases: int, every: int | None, *, copy_is_hidden: bool
) -> dict[str, float]:
    """Shares of the time between two validations, with one of them, by part.

    Args:
        training: the steps.
        validation: seconds per case.
        cases: that are validated.
        every: steps between validations; None: never.
        copy_is_hidden: whether a run copies a batch while the step before is computed.
    """
    parts = dict(training.parts)
    seconds = {
        "data": parts["data"],
        "copy": 0.0 if copy_is_hidden else parts["copy"],
        "compute": parts["forward"] + parts["backward"] + parts["optimizer"],
        "evaluation": validation * cases / every if every else 0.0,
    }
    total = sum(seconds.values())
    return {name: each / total for name, each in seconds.items()}
