"""Mirrors one run folder to MLflow.

Everything logged is read from the folder, and a point that MLflow has is not logged again. So a run in progress, a
resumed one and `platform sync` work in the same way, and the next attempt adds whatever a failure left out.
"""

import json
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from medvid.files import read_json
from medvid.plugin.events import RunInfo, RunStatus
from medvid.redaction import redact
from medvid.runs.folder import RunFolder, parse_metrics
from medvid.runs.pseudonyms import PRIVATE
from medvid.tracking import content, store, view
from medvid.tracking.destination import OWNER, known_run, new_run

METRICS_PER_BATCH = 1000
ENTRIES_PER_BATCH = 100
"""MLflow's limits per request, for metrics, and for parameters and tags."""

ARTIFACTS = (
    "task.yaml",
    "resolved.yaml",
    "environment.json",
    "data.json",
    "unreadable*.json",
    "cases.csv",
    "classes.csv",
    "labels.csv",
    "values.csv",
    "figures.csv",
    "summary.json",
    "profile.json",
    "figures/*",
)
"""Artifacts copied to MLflow. Checkpoints and predictions are too large; tags say where they are."""

NAMELESS = {"environment.json", "data.json", "profile.json", "classes.csv", "labels.csv", "values.csv", "figures.csv"}
"""The artifacts that name no case."""

REAL_NAMES = {"task.yaml", "resolved.yaml"}
"""The artifacts with the real names of cases and folders, even if others have pseudonyms."""

TEXT = {".yaml", ".json", ".csv"}


class Mirror:
    """The MLflow run of a run folder; made by continuing or creating it.

    Args:
        run: the run.
        uri: the store; see `medvid.tracking.store.hide_credentials`.

    Raises:
        MlflowException: the store cannot be reached or used. So do all methods.
        ConfigError: a variable of MLflow names something that does not exist.
    """

    def __init__(self, run: RunInfo, uri: str) -> None:
        self._run = run
        self._folder = RunFolder(run.folder)
        with store.ready(uri):
            self._client = MlflowClient(uri)
            tracked = known_run(self._client, run, uri) or new_run(
                self._client, run, uri, _changed_ms(self._folder.resolved)
            )
        self._id: str = tracked.info.run_id
        self._experiment: str = tracked.info.experiment_id
        self._logged = self._last_steps(tracked)
        self._offset = 0
        self._validations: dict[int, list[Metric]] = {}
        self._describe(known=tracked.data.params)

    def _last_steps(self, tracked: Run) -> dict[str, int]:
        """The last step of each metric in MLflow. Steps are logged in order, so it has the earlier ones too."""
        return {
            key: max(point.step for point in self._client.get_metric_history(self._id, key))
            for key in tracked.data.metrics
        }

    def _describe(self, known: Mapping[str, str]) -> None:
        """Log parameters (which cannot be changed later), tags and data sets, and mark the run as running."""
        parameters = content.parameters(self._run.config).items()
        self._log(params=[Param(key, value) for key, value in parameters if key not in known])
        tags = {OWNER: self._run.name, **content.tags(self._run)}
        self._log(tags=[RunTag(key, value) for key, value in tags.items()])
        self._client.log_inputs(self._id, [_dataset_input(*item) for item in self._run.datasets.items()])
        self._client.update_run(self._id, status="RUNNING")
        view.show(self._client, self._experiment, ())

    def push(self, best_step: int | None = None) -> None:
        """Log the records of metrics.jsonl that MLflow does not have.

        Args:
            best_step: step of the best checkpoint so far; its validation figures over all labels become ``best/*``.
        """
        records, offset = read_records(self._folder.metrics, self._offset)
        points = [point for record in records for point in _points(record)]
        split = self._run.config["evaluation"]["split"]
        self._validations |= {record["step"]: _headline(record) for record in records if record["split"] == split}
        if best_step is not None:
            points += self._validations.get(best_step, [])
        self._log_new(points)
        self._offset = offset

    def finish(self, status: RunStatus) -> None:
        """Log the final results, and close the MLflow run with the status of the run."""
        summary = read_json(self._folder.summary)
        self.push(best_step=_step_of(summary.get("best")))
        now = _changed_ms(self._folder.summary)
        if "step" in summary:
            final = {name: value for name, value in summary["metrics"].items() if value is not None}
            self._log_new(_points({"split": "final", "step": summary["step"], "time": now / 1000, "values": final}))
            self._show_headline(final)
            self._log_new(_of_profile(read_json(self._folder.profile), summary["step"], now))
        checkpoints = {which: summary.get(which) for which in ("best", "last")}
        self._log(tags=[RunTag(f"checkpoint.{which}", path) for which, path in checkpoints.items() if path])
        self._copy_files()
        self._client.set_terminated(self._id, status.upper(), now)

    def _show_headline(self, final: Mapping[str, float]) -> None:
        """Show the first figure over all labels in the list of runs: as a column, and beside the parts of the run."""
        for name in [name for name in final if "/" not in name][:1]:
            view.show(
                self._client, self._experiment, [content.safe_key(f"{split}/{name}") for split in ("final", "best")]
            )
            self._client.set_tag(self._id, content.SOURCE, f"{content.parts(self._run)}: {name} {final[name]:.4g}")

    def _log_new(self, points: Iterable[Metric]) -> None:
        reached = dict(self._logged)
        new = []
        for point in points:
            if point.step > reached.get(point.key, -1):
                reached[point.key] = point.step
                new.append(point)
        self._log(metrics=new)
        self._logged = reached

    def _log(self, **entities: list[Any]) -> None:
        """Log entities of one kind (metrics, params or tags), in batches of the size that MLflow accepts."""
        [(kind, entries)] = entities.items()
        size = METRICS_PER_BATCH if kind == "metrics" else ENTRIES_PER_BATCH
        for start in range(0, len(entries), size):
            self._client.log_batch(self._id, **{kind: entries[start : start + size]})

    def _copy_files(self) -> None:
        folder = self._run.folder.resolve()
        known = [path for pattern in ARTIFACTS for path in sorted(folder.glob(pattern))]
        # Resolved, because a link in the folder could lead to any file of this machine.
        for path in dict.fromkeys(path.resolve() for path in known):
            if not (content.names_cases(self._run.config) or path.name in NAMELESS):
                continue
            if content.has_pseudonyms(self._run.config) and (path.name in REAL_NAMES or path.parent.name == PRIVATE):
                continue
            if path.is_file() and path.is_relative_to(folder):
                self._copy_file(path, path.relative_to(folder))

    def _copy_file(self, path: Path, name: Path) -> None:
        if path.suffix in TEXT:
            self._client.log_text(self._id, redact(path.read_text(encoding="utf-8", errors="replace")), name.as_posix())
        else:
            self._client.log_artifact(self._id, str(path), name.parent.as_posix().removeprefix("."))


def read_records(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The records of metrics.jsonl from a byte offset, without damaged lines, and the offset after them."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        lines = [line for line in file if line.endswith(b"\n")]
    records = [record for line in lines if (record := parse_metrics(line))]
    return records, offset + sum(map(len, lines))


def _points(record: Mapping[str, Any]) -> list[Metric]:
    """The figures of one record as MLflow metrics, without undefined ones (null)."""
    return [
        Metric(
            key=content.safe_key(f"{record['split']}/{name}"),
            value=value,
            timestamp=int(record["time"] * 1000),
            step=record["step"],
        )
        for name, value in record["values"].items()
        if value is not None and math.isfinite(value)
    ]


def _headline(record: Mapping[str, Any]) -> list[Metric]:
    """The figures over all labels of a validation, and its step, as the best so far."""
    values = {name: value for name, value in record["values"].items() if "/" not in name}
    return _points({**record, "split": "best", "values": {**values, "step": record["step"]}})


def _of_profile(profile: Mapping[str, Any], step: int, now: int) -> list[Metric]:
    """The size of the model, and the shares of the time of the run, to be compared beside its figures."""
    model, shares = profile.get("model", {}), profile.get("training", {}).get("shares", {})
    values = {f"model/{name}": model.get(name) for name in ("parameters", "multiply_adds")}
    values |= {f"perf/share_{name}": share for name, share in shares.items()}
    return [Metric(name, float(value), now, step) for name, value in values.items() if value is not None]


def _dataset_input(split: str, facts: Mapping[str, Any]) -> DatasetInput:
    """The data of a split, named by a digest of its content, never by a path, which can name a patient."""
    dataset = Dataset(
        name=facts["name"],
        digest=facts["digest"],
        source_type="medvid",
        source=json.dumps({"dataset": facts["name"], "split": split}),
        profile=json.dumps({"cases": facts["cases"]}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", content.CONTEXTS.get(split, split))])


def _step_of(checkpoint: str | None) -> int | None:
    """The step in a checkpoint's name, ``checkpoints/step-00000500``."""
    return int(checkpoint.rpartition("-")[2]) if checkpoint else None


def _changed_ms(path: Path) -> int:
    """Modification time of a file, in milliseconds since 1970; now, if it does not exist."""
    return int((path.stat().st_mtime if path.exists() else time.time()) * 1000)
