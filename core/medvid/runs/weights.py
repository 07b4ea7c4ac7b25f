"""The weights of a run: which checkpoint is meant, and loading it for inference."""

import hashlib
import logging
from pathlib import Path
from typing import Any

from medvid.config.components import options_in
from medvid.config.options import BackboneOptions, RunWeights
from medvid.config.task import Task
from medvid.devices.precision import precision_of
from medvid.errors import CheckpointError, ConfigError
from medvid.models.weights.runs import TrainedWeights
from medvid.runs.folder import RunFolder
from medvid.runs.origin import check_version, read_origin, read_task
from medvid.runs.session import Session
from medvid.training.checkpoint import (
    MANIFEST,
    best_step,
    checkpoint_path,
    checkpoint_step,
    load_weights,
    newest_intact,
    read_weights,
    verify_checkpoint,
)

log = logging.getLogger(__name__)


def find_checkpoint(run: RunFolder, which: str) -> Path:
    """The intact checkpoint that is meant.

    Args:
        run: its folder.
        which: ``"best"``, ``"last"`` or a step's number.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: there is no such step.
    """
    folder = run.checkpoints
    best = best_step(folder) if which == "best" else None
    if which == "last" or (which == "best" and best is None):
        return _newest(folder)
    if which != "best" and not (which.isdecimal() and checkpoint_path(folder, int(which)).exists()):
        raise ConfigError(f"there is no checkpoint {which!r}: give best, last or the number of a saved step")
    path = checkpoint_path(folder, int(which) if best is None else best)
    try:
        verify_checkpoint(path)
    except CheckpointError as error:
        raise CheckpointError(
            f"the {which if which == 'best' else 'asked-for'} checkpoint is damaged: {error}",
            hint=f"use the newest intact one, of step {checkpoint_step(_newest(folder))}: --checkpoint last",
        ) from error
    return path


def _newest(folder: Path) -> Path:
    newest = newest_intact(folder)
    if newest is None:
        raise CheckpointError(f"{folder} has no checkpoint", hint="has the run saved one yet? see its run.log")
    return newest


def read_trained(weights: RunWeights) -> TrainedWeights:
    """The weights of a run that another one starts from.

    Raises:
        CheckpointError, ConfigError: as `find_checkpoint`; or it is not a run folder.
    """
    run = RunFolder.find(weights.path)
    check_version(run)
    path, task = find_checkpoint(run, weights.checkpoint), read_task(run.resolved)
    names = (str(task[kind]["name"]) for kind in ("backbone", "head"))
    return TrainedWeights(path, read_weights(path, is_verified=True), *names)


def started_from(task: Task) -> list[RunWeights]:
    """The runs whose weights a task starts from."""
    blocks = [options.weights for options in options_in(task) if isinstance(options, BackboneOptions)]
    return [weights for weights in blocks if isinstance(weights, RunWeights)]


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of a run that another one goes on or starts from, for its origin.json."""
    return {
        "run": path.parent.parent.name,
        "step": checkpoint_step(path),
        "manifest_sha256": hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest(),
    }


def load_trained(session: Session, folder: RunFolder, which: str) -> int:
    """Load a run's weights into the model of a session, and what the data set has to know of the training.

    Args:
        session: of the run's task.
        folder: of the run.
        which: checkpoint, as for `find_checkpoint`.

    Returns:
        The optimizer step of the weights.

    Raises:
        CheckpointError, ConfigError: as `find_checkpoint`.
    """
    path = find_checkpoint(folder, which)
    load_weights(session.model, path, is_verified=True)
    session.model.to(session.fabric.device)
    origin = read_origin(folder)
    session.dataset.remember(origin.description if origin else {})
    trained, here = origin.precision if origin else "", precision_of(session.fabric)
    if trained and trained != here:
        log.warning("the run was trained in %s and computes in %s here: figures can differ a little", trained, here)
    return checkpoint_step(path)
