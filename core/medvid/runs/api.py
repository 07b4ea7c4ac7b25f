"""medvid from Python: run a task, load a run, evaluate it, predict with it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medvid.config.early import check_run
from medvid.config.evaluation import VoxelEvaluationOptions
from medvid.config.load import load_task, with_absolute_paths
from medvid.config.recipes import find_task
from medvid.config.task import Task
from medvid.evaluation.evaluator import Prediction
from medvid.evaluation.inference.ensemble import Averaged
from medvid.files import read_json
from medvid.plugin.events import Evaluation
from medvid.plugin.host import Host, make_host
from medvid.runs.chosen import Trained
from medvid.runs.ensemble import Member, joint_origin
from medvid.runs.evaluate import RunEvaluation, options_of_folder
from medvid.runs.execute import extend_run, resume_run, run_task
from medvid.runs.extending import check_extension
from medvid.runs.folder import RunFolder
from medvid.runs.given_folder import GivenFolder
from medvid.runs.origin import check_unchanged, check_version, read_origin
from medvid.runs.postprocessing import with_chosen_steps
from medvid.runs.predict import RunPrediction
from medvid.runs.pseudonyms import check_key, pseudonyms_of
from medvid.runs.weights import find_checkpoint
from medvid.scarcity import scarcity_named


def run(
    task: str | Path,
    overrides: Mapping[str, object] | Sequence[str] = (),
    *,
    demo: bool = False,
    folder: str | Path | None = None,
    plugins: Path | None = None,
) -> "Run":
    """Run a task: check, build, train, evaluate, report.

    Args:
        task: path of the task file, or the name of a recipe, see `platform tasks`.
        overrides: values by dotted key, ``{"train.steps": 100}``, or as text, ``["train.steps=100"]``.
        demo: run on the demo data of the task instead of its data set.
        folder: the run folder; a run of this task that is there goes on, and is left as it is if it is finished.
            Default: a new one below the task's `output`.
        plugins: the allow-list to use; default: as the command line looks it up.

    Raises:
        MedvidError: what stopped it.
    """
    host, path = make_host(plugins), find_task(task)
    resolved = load_task(path, host, overrides=overrides, demo=demo)
    given = GivenFolder.of(Path(folder), resolved, host) if folder else None
    asked = given.asked if given else resolved
    with pseudonyms_of(asked):
        checked = check_run(asked, host)
    return Run(run_task(checked, path.read_text(), given), host)


def resume(folder: str | Path, *, plugins: Path | None = None) -> "Run":
    """Continue a run from its newest intact checkpoint.

    Raises:
        MedvidError: what stopped it.
    """
    run = load_run(folder, plugins=plugins)
    resume_run(run.folder, run.task(), run.host)
    return run


def extend(
    folder: str | Path, overrides: Mapping[str, object] | Sequence[str], *, plugins: Path | None = None
) -> "Run":
    """Go on from the full state of a finished run, over more steps, in a new run folder.

    Args:
        folder: of the finished run.
        overrides: ``{"train.steps": 200}``; what else may be changed is in `medvid.runs.extending.MAY_CHANGE`.
        plugins: as for `run`.

    Raises:
        MedvidError: what stopped it.
    """
    parent = load_run(folder, plugins=plugins)
    began, task = parent.task(), with_absolute_paths(parent.task(overrides))
    check_extension(parent.folder, began, task)
    return Run(extend_run(parent.folder, task, parent.host), parent.host)


def load_run(folder: str | Path, *, plugins: Path | None = None) -> "Run":
    """A run that was made before.

    Raises:
        ConfigError: folder is not a run folder, or one of an earlier version.
    """
    found = RunFolder.find(Path(folder))
    check_version(found)
    return Run(found, make_host(plugins))


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder with what can be done with it.

    Args:
        folder: where everything of the run is.
        host: the plugins that it needs.
    """

    folder: RunFolder
    host: Host

    @property
    def summary(self) -> dict[str, Any]:
        """How the run ended, as in summary.json; empty while it runs."""
        return read_json(self.folder.summary)

    def task(self, overrides: Mapping[str, object] | Sequence[str] = ()) -> Task:
        """The resolved task, with overrides.

        Raises:
            ConfigError: an override is wrong, or resolved.yaml was changed after the run began.
        """
        if origin := read_origin(self.folder):
            check_unchanged(self.folder, origin)
        return load_task(self.folder.resolved, self.host, overrides=overrides)

    def inference_task(
        self, overrides: Mapping[str, object] | Sequence[str], devices: int | Literal["auto"] = 1
    ) -> Task:
        """The task on one device, or as many as given: the training may have had others."""
        return on_devices(with_chosen_steps(self.task(overrides), self.folder), devices)

    def began(self) -> Task:
        """The task as it was trained, with the post-processing that it has chosen."""
        task = self.task()
        return with_chosen_steps(task, self.folder) if self.folder.postprocessing.is_file() else task

    def evaluate(
        self,
        *,
        checkpoint: str = "best",
        overrides: Mapping[str, object] | Sequence[str] = (),
        data: Path | None = None,
        trained: Trained = "refuse",
        output: Path | None = None,
        others: Sequence["Run"] = (),
        average: Averaged | None = None,
        home: Path | None = None,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> tuple[Evaluation, Path]:
        """Evaluate a checkpoint of the run in full, on one device, on the cases that the run held out.

        Args:
            checkpoint: ``"best"``, ``"last"`` or a step's number.
            overrides: other options, usually of the evaluation block: ``{"evaluation.protocol": "unetr"}``.
            data: another folder, of which all labelled cases are scored instead.
            trained: what to do with cases in it that the run was trained on.
            output: where the files go, an empty folder; default: ``<run>/evaluations/<split>-<protocol>-<step>``, and a
                hash behind it where other options or data differ from those of the run. What is there is replaced.
            others: runs whose answers are averaged with those of this one; a case that any of them was trained on is
                one that they were trained on.
            average: as for `predict`.
            home: the folder that gets ``evaluations/`` instead of that of the run.
            progress: told (stage, done, total).

        Returns:
            The figures, and the folder with cases.csv, summary.json, predictions/ and figures/.

        Raises:
            ConfigError: an option is wrong, or `output` is not empty.
            DataError: the data are missing, or not what the run began with.
            CheckpointError: there is no intact one of this kind.
            NumericError: the model's output for a case is not finite.
            ResourceError: memory or the disk ran out.
        """
        find_checkpoint(self.folder, checkpoint)
        began = self.began()
        options = [*_as_text(overrides), *(options_of_folder(data, began) if data else ())]
        task = self.inference_task(options)
        members = [Member(other.folder, other.inference_task(options)) for other in others]
        origin = joint_origin(read_origin(self.folder), members)
        evaluation = RunEvaluation(
            self.folder, began, origin, checkpoint, data, trained, output, progress, members, average, home
        )
        evaluation.check(task)
        with pseudonyms_of(task, [data] if data else ()) as pseudonyms:
            check_key(pseudonyms, origin.pseudonyms if origin else "")
            with scarcity_named():
                return evaluation.run(task, self.host, pseudonyms)

    def predict(
        self,
        paths: Sequence[Path],
        output: Path,
        *,
        checkpoint: str = "best",
        overrides: Sequence[str] = (),
        overwrite: bool = False,
        probabilities: bool = False,
        devices: int | Literal["auto"] = 1,
        others: Sequence["Run"] = (),
        average: Averaged | None = None,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> Iterator[tuple[str, Prediction]]:
        """Predict new files, one case after the other; the training data need not be there.

        What `output` already holds of these files, by these weights, is left as it is, so that a call continues where
        another one was stopped. A file that cannot be read is logged, and the others are predicted before it is raised.

        Args:
            paths: files or folders of them.
            output: where the predictions go, with a record of what they are made by.
            checkpoint: as for `evaluate`.
            overrides: other options, e.g. of the device.
            overwrite: predict everything again.
            probabilities: of voxels, write also the probability of each label, into ``output/probabilities``; of cases
                ``output/predictions.csv`` has them anyway.
            devices: how many to share the files, as processes that run this program too; auto: all GPUs.
            others: runs whose answers are averaged with those of this one, such as the other folds of it.
            average: ``"logits"`` or ``"probabilities"``; default: logits of models of the same kind, as nnU-Net does
                for folds, else probabilities.
            progress: told (stage, done, total).

        Yields:
            The id of a case that this process predicted, and its prediction.

        Raises:
            ConfigError: the predictions would be written over or among the inputs, `output` is a file, or it holds what
                other weights or options have predicted; or the answers of the runs cannot be averaged.
            DataError: files are missing; or some could not be read, and all others are written.
            NumericError: the model's output for a case is not finite; nothing is written for it.
            ResourceError: memory or the disk ran out; a further call continues.
        """
        task = self.inference_task(overrides, devices)
        if probabilities and isinstance(task.evaluation, VoxelEvaluationOptions):
            task = task.model_copy(update={"evaluation": task.evaluation.model_copy(update={"probabilities": True})})
        with pseudonyms_of(task, paths) as pseudonyms:
            prediction = RunPrediction(
                paths,
                output,
                overwrite,
                progress,
                self.folder,
                self.began(),
                checkpoint,
                [Member(other.folder, other.inference_task(overrides, devices)) for other in others],
                average,
            )
            yield from prediction.run(task, self.host, pseudonyms)


def on_devices(task: Task, devices: int | Literal["auto"]) -> Task:
    """A task for inference, on so many devices: its training may have had others."""
    return task.model_copy(update={"train": task.train.model_copy(update={"devices": devices, "strategy": "auto"})})


def _as_text(overrides: Mapping[str, object] | Sequence[str]) -> list[str]:
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value, default=str)}" for key, value in overrides.items()]
    return list(overrides)
