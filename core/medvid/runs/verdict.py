"""Where the time of a training goes, in one sentence, with the settings that change it."""

from collections.abc import Iterator, Mapping

from medvid.config.task import Task

_NOTABLE = {"data": 0.15, "copy": 0.10, "evaluation": 0.30, "records": 0.10}
"""Share of the time from which a part is worth a setting; below, the device is what is waited for."""


def verdict(shares: Mapping[str, float], task: Task, precision: str, cores: int) -> str:
    """The largest part that a setting could shrink, else that computing is what takes time.

    Args:
        shares: of the time, by part: ``data``, ``copy``, ``compute``, ``evaluation``, ``records`` (the log, MLflow,
            checkpoints); those that were not measured are left out.
        task: what its settings are now.
        precision: in which it computes.
        cores: that the process may use.
    """
    notable = [name for name, least in _NOTABLE.items() if shares.get(name, 0.0) >= least]
    if not notable:
        return f"computing takes {shares['compute']:.0%} of the time{_or(_of_compute(task, precision))}"
    worst = max(notable, key=lambda name: shares[name])
    advice = {"data": _of_data, "copy": _of_copy, "evaluation": _of_evaluation, "records": _of_records}[worst]
    what = {
        "data": "steps wait for data",
        "copy": "copying batches to the device takes",
        "evaluation": "validations take",
        "records": "records and checkpoints take",
    }[worst]
    return f"{what} {shares[worst]:.0%} of the time{_or(advice(task, cores))}"


def _or(advice: Iterator[str]) -> str:
    settings = [*advice]
    return f": try {', or '.join(settings)}" if settings else ""


def _of_data(task: Task, cores: int) -> Iterator[str]:
    if task.train.workers < cores:
        yield f"train.workers={cores} (now {task.train.workers}; {cores} cores may be used)"
    else:
        yield "more cores for this process: each of them reads already"
    if hasattr(task.dataset, "reader"):
        yield "platform data reencode, for videos that decode faster"


def _of_copy(task: Task, cores: int) -> Iterator[str]:  # noqa: ARG001 (as its siblings)
    if task.train.transforms_on == "loader":
        yield "train.transforms_on=auto, as bytes travel faster than float32"
    else:
        yield "a device of its own bus: the batches are as small as they can be"


def _of_evaluation(task: Task, cores: int) -> Iterator[str]:  # noqa: ARG001 (as its siblings)
    if every := task.evaluation.every:
        yield f"evaluation.every={2 * every} (now {every})"
    if overlap := getattr(task.evaluation, "overlap", 0):
        yield f"a smaller evaluation.overlap (now {overlap:g})"


def _of_records(task: Task, cores: int) -> Iterator[str]:  # noqa: ARG001 (as its siblings)
    yield f"train.log_every={10 * task.train.log_every} (now {task.train.log_every})"
    if task.train.checkpoint_every:
        yield f"train.checkpoint_every={2 * task.train.checkpoint_every} (now {task.train.checkpoint_every})"


def _of_compute(task: Task, precision: str) -> Iterator[str]:
    if precision in ("fp32", "tf32"):
        yield "train.precision=bf16, where the hardware multiplies it"
    if not task.train.compile:
        yield "train.compile=true"
    if task.train.gradient_checkpointing:
        yield "train.gradient_checkpointing=false, if the memory suffices"
