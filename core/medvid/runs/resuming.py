"""What a resumed run continues with: changes since it began are reported, and a lost best checkpoint is replaced."""

import logging
from collections.abc import Mapping
from typing import Any

from medvid.config.evaluation import EvaluationOptions
from medvid.errors import DataError
from medvid.files import read_json, write_json
from medvid.runs.environment import compare_environments
from medvid.runs.folder import RunFolder, read_metrics
from medvid.training.checkpoint import checkpoint_path, checkpoint_step, checkpoints, is_intact
from medvid.training.progress import TrainingProgress, moving_average

logger = logging.getLogger("medvid")


def report_other_software(folder: RunFolder, now: Mapping[str, Any], step: int) -> None:
    """Warn where a run continues with other software, and keep the record of what it began with.

    Args:
        folder: of the run.
        now: what it continues with, see `medvid.runs.environment.describe_environment`.
        step: that it continues from; is in the name of the file with the old record.
    """
    path = folder.environment
    try:
        began = read_json(path)
    except DataError as error:
        logger.warning("%s; whether the run continues with the software that it began with is not known", error)
        return
    if began and (differences := compare_environments(began, now)):
        for line in differences:
            logger.warning("%s: results from here on may differ from an uninterrupted run", line)
        write_json(path.with_stem(f"{path.stem}-until-{step}"), began)


def report_other_precision(began: str, now: str) -> None:
    """Warn where a run continues in another precision, as ``auto`` does on another device."""
    if began and began != now:
        logger.warning("the run began in %s and continues in %s: results from here on may differ", began, now)


def replace_lost_best(
    folder: RunFolder, progress: TrainingProgress, evaluation: EvaluationOptions, monitor: str
) -> str:
    """If the best checkpoint is damaged, replace it by the best of the intact ones.

    Args:
        folder: of the run.
        progress: of its training; gets the other step.
        evaluation: the split that was validated on, and how its figures choose the best.
        monitor: the figure that chooses the best.

    Returns:
        What to say of it; empty where nothing is lost.
    """
    lost = progress.best_step
    if lost is None or is_intact(checkpoint_path(folder.checkpoints, lost)):
        return ""
    values, average = {}, None
    for record in read_metrics(folder.metrics):
        value = record["values"].get(monitor)
        if record["split"] == evaluation.split and record["step"] <= progress.step and value is not None:
            values[record["step"]] = average = moving_average(average, value, evaluation.smooth)
    intact = [checkpoint_step(path) for path in checkpoints(folder.checkpoints) if is_intact(path)]
    left = [(values[step], step) for step in intact if step in values]
    progress.best_value, progress.best_step = max(left, default=(None, None))
    instead = f"step {progress.best_step} takes its place" if left else "one to come takes its place"
    return f"the best checkpoint, of step {lost}, is damaged and lost: the best of the others, {instead}"
