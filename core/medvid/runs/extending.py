"""Extending a finished run: a new one goes on from its full state, over more steps."""

import shutil
from pathlib import Path

from medvid.config.task import Constant, MultiStep, Task, TrainOptions
from medvid.errors import CheckpointError, ConfigError
from medvid.files import make_folder, read_json, replace_folder
from medvid.runs.differences import MAY_DIFFER, flat
from medvid.runs.folder import RunFolder
from medvid.sentences import listed
from medvid.training.checkpoint import checkpoint_path, checkpoint_step, checkpoints, is_intact
from medvid.training.loop import Trainer
from medvid.training.schedule import rate_factor

MAY_CHANGE = (
    "train.steps",
    "train.stop_early",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "evaluation.every",
    "name",
    "about",
    "tracking",
    *MAY_DIFFER,
)
"""Options, or blocks, that may be others in an extension; `train.steps` has to be."""


def check_extension(run: RunFolder, began: Task, task: Task) -> None:
    """Refuse what would not be the same training, only longer.

    Args:
        run: the one to extend.
        began: its task.
        task: of the extension.

    Raises:
        ConfigError: naming what is wrong.
        CheckpointError: the run has no checkpoint any more.
    """
    if read_json(run.summary).get("status") != "finished":
        raise ConfigError(
            f"{run.path} is not finished, and only a finished run can be extended",
            hint=f"finish it first: platform run --resume {run.path}",
        )
    before, after = (dict(flat(options.model_dump(mode="json"))) for options in (began, task))
    changed = sorted(key for key in before | after if before.get(key) != after.get(key) and not _may_change(key))
    if changed:
        raise ConfigError(
            f"an extended run goes on with the same training: {listed(changed)} cannot be changed",
            hint=f"what can be: {', '.join(MAY_CHANGE)}; for another training from these weights, start a new run with "
            f"backbone.weights={{source: medvid, path: {run.path}}}",
        )
    trained = max(map(checkpoint_step, checkpoints(run.checkpoints)), default=0)
    if not trained:
        raise CheckpointError(f"{run.checkpoints} has no checkpoint to go on from", hint="start a new run")
    if task.train.steps <= trained:
        raise ConfigError(
            f"{run.path} was trained for {trained} steps, and train.steps is {task.train.steps}",
            hint=f"give more steps: --set train.steps={2 * trained}",
        )


def check_goes_on(run: RunFolder, trainer: Trainer) -> None:
    """Refuse to extend a run that has stopped early where its extension would stop at once.

    Raises:
        ConfigError: with what to change.
    """
    if trainer.is_over_early:
        raise ConfigError(
            f"{run.path} stopped early, and by train.stop_early its extension would be over at once",
            hint="leave it out, --set train.stop_early=null, or give it more patience",
        )


def rate_note(options: TrainOptions, old: int, step: int) -> str:
    """What becomes of the learning rate of a longer training.

    Args:
        options: of the longer training.
        old: steps that were to be trained before.
        step: from which it goes on.
    """
    schedule, new = options.schedule, options.steps
    if isinstance(schedule, Constant | MultiStep):
        return f"the rate goes on as if {new} steps had been asked for from the start (schedule {schedule.name})"
    ended, goes_on = rate_factor(schedule, step - 1, old), rate_factor(schedule, step, new)
    return (
        f"schedule {schedule.name} spans {new} steps now, not {old}: the rate goes on at {goes_on:.3g} of its peak, "
        f"after {ended:.3g} at step {step}; a training of {new} steps from the start would have had higher rates before"
    )


def copy_state(run: RunFolder, checkpoint: Path, best: int | None, folder: RunFolder) -> None:
    """Copy what a training continues with: the checkpoint, that of the best step, figures, and unreadable cases.

    Raises:
        ResourceError: the disk is full.
    """
    make_folder(folder.checkpoints, 0o700)
    kept = {checkpoint} if best is None else {checkpoint, checkpoint_path(run.checkpoints, best)}
    for path in sorted(kept):
        if is_intact(path):
            with replace_folder(folder.checkpoints / path.name) as draft:
                shutil.copytree(path, draft, dirs_exist_ok=True)
    for file in (run.metrics, run.environment, *run.path.glob("unreadable*.json")):
        if file.is_file():
            shutil.copy2(file, folder.path / file.name)


def _may_change(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in MAY_CHANGE)
