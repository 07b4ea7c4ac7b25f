"""Features of new files: what a backbone makes of them, by the weights of a run or by published ones."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medvid.config.compatibility import check_weights_exist
from medvid.config.components import options_in
from medvid.config.load import load_task, with_absolute_paths
from medvid.config.options import BackboneOptions, RunWeights
from medvid.config.recipes import find_task
from medvid.config.task import Task
from medvid.digests import digest_of_files
from medvid.errors import ConfigError, DataError
from medvid.evaluation.evaluator import Prediction
from medvid.evaluation.features import SUFFIX, FeatureWriter, join_features
from medvid.evaluation.inference.features import feature_inference
from medvid.files import read_json
from medvid.models.build import load_initial_weights
from medvid.models.embedder import Embedder
from medvid.plugin.host import Host, make_host
from medvid.runs.api import load_run, on_devices
from medvid.runs.folder import RunFolder, is_run_folder
from medvid.runs.predict import FilePrediction, Predictor, RunPrediction
from medvid.runs.pseudonyms import Pseudonyms, pseudonyms_of
from medvid.runs.session import Session
from medvid.runs.weights import describe_checkpoint, find_checkpoint, read_trained
from medvid.started import speaks

log = logging.getLogger(__name__)

PARTS = ".parts"
"""Ending of the folder in which the features of each case lie until the file of all is written."""
RECORD = "predictions.json"


@dataclass(frozen=True, slots=True)
class RunEmbedding(RunPrediction):
    """Features by the weights of a run, see `embed`.

    Args:
        every: seconds between clips.
    """

    every: float | None = None

    def load(self, session: Session, task: Task, pseudonyms: Pseudonyms | None) -> Predictor:
        """Load the weights of the run."""
        return _embedding(RunPrediction.load(self, session, task, pseudonyms), session, self.every)


@dataclass(frozen=True, slots=True)
class TaskEmbedding(FilePrediction):
    """Features by the weights that a task's backbone starts from, see `embed`.

    Args:
        every: seconds between clips.
    """

    every: float | None = None

    def load(self, session: Session, task: Task, pseudonyms: Pseudonyms | None) -> Predictor:  # noqa: ARG002 (no weights are named after cases)
        """Import the weights.

        Raises:
            CheckpointError: they do not fit.
            ConfigError: the task names none.
        """
        weights = [one.weights for one in options_in(task.backbone) if isinstance(one, BackboneOptions) and one.weights]
        if not weights:
            raise ConfigError(
                f"the backbone {task.backbone.name} of this task starts from random numbers: its features mean nothing",
                hint="name published weights (backbone.weights, see platform plugins show), or give a run",
            )
        for imported in load_initial_weights(session.model, session.checked, read_trained):
            log.info("%s", imported)
        session.model.to(session.fabric.device)
        options = {"backbone": task.backbone, "dataset": task.dataset, "evaluation": task.evaluation}
        told = {name: one.model_dump(mode="json", exclude={"root", "cache"}) for name, one in options.items()}
        maker = {"task": task.name, "weights": [_digest(one) for one in weights], **told}
        inference, writer = session.evaluator.inference, session.evaluator.scorer
        return _embedding(Predictor(session.model, inference, writer, maker), session, self.every)


def embed(
    source: str | Path,
    paths: Sequence[Path],
    output: Path,
    *,
    every: float | None = None,
    checkpoint: str = "best",
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    devices: int | Literal["auto"] = 1,
    plugins: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Iterator[tuple[str, Prediction]]:
    """Write the features that a backbone makes of new files; as `Run.predict` otherwise.

    Args:
        source: a run folder; or a task, by file or name, whose backbone names published weights.
        paths: files or folders of them.
        output: a folder, which gets a file per case, or one file, ``.npz``.
        every: seconds between clips along a video; None: one embedding per case, or per frame in a task of frames.
        checkpoint: of a run, as for `Run.evaluate`.
        overrides: other options.
        overwrite: embed everything again.
        devices: how many to share the files; auto: all GPUs.
        plugins: the allow-list to use; default: as the command line looks it up.
        progress: told (stage, done, total).

    Yields:
        The id of a case that this process embedded, and its file.

    Raises:
        ConfigError: the task has no such features, or `output` exists.
        CheckpointError: there are no weights, or they do not fit.
        DataError: files are missing; or some could not be read, and all others are written.
    """
    joined = output.suffix == SUFFIX
    if joined and output.exists() and not overwrite:
        raise ConfigError(f"{output} exists", hint="give another file, or --overwrite")
    folder = output.with_name(f"{output.name}{PARTS}") if joined else output
    job: FilePrediction
    if is_run_folder(Path(source)):
        run = load_run(source, plugins=plugins)
        host, task = run.host, run.inference_task(overrides, devices)
        job = RunEmbedding(paths, folder, overwrite, progress, run.folder, run.began(), checkpoint, every=every)
    else:
        host = make_host(plugins)
        task = _task_of(source, overrides, devices, host)
        job = TaskEmbedding(paths, folder, overwrite, progress, every)
    failed = None
    with pseudonyms_of(task, paths) as pseudonyms:
        try:
            yield from job.run(task, host, pseudonyms)
        except DataError as error:
            if not (folder / RECORD).is_file():
                raise
            failed = error
    if joined and speaks():
        join_features(folder, read_json(folder / RECORD), output)
        if not failed:
            shutil.rmtree(folder)
    if failed:
        raise failed


def _task_of(source: str | Path, overrides: Sequence[str], devices: int | Literal["auto"], host: Host) -> Task:
    """The task that is given instead of a run. Its data set need not be there: features do not depend on classes."""
    task = with_absolute_paths(load_task(find_task(source), host, overrides=overrides))
    check_weights_exist(task)
    try:
        task.dataset.target_info()
    except DataError:
        if getattr(task.dataset, "classes", ()) is not None:
            raise
        nameless = task.dataset.model_copy(update={"classes": ("one", "other")})
        task = task.model_copy(update={"dataset": nameless})
    return on_devices(task, devices)


def _embedding(predictor: Predictor, session: Session, every: float | None) -> Predictor:
    """What makes features with the model of a predictor."""
    checked = session.checked
    evaluation = checked.task.evaluation
    protocol: Any = checked.host.build(evaluation.protocol, checked.target_info)
    inference = feature_inference(evaluation, protocol, checked.input_info, checked.target_info, every)
    maker = {**predictor.maker, "features_of": checked.target_info.where, "every": every}
    return replace(predictor, model=Embedder(session.model), inference=inference, writer=FeatureWriter(), maker=maker)


def _digest(weights: Any) -> Any:
    """What identifies weights to start from."""
    if isinstance(weights, RunWeights):
        return describe_checkpoint(find_checkpoint(RunFolder.find(weights.path), weights.checkpoint))
    return digest_of_files([weights.path])
