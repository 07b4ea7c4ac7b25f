"""A run in a folder that the user names: it starts where there is none, goes on where there is, and is left once done.

So the same command can be given again and again, by hand or by a scheduler that requeues a job.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.errors import ConfigError
from medvid.files import read_json
from medvid.plugin.host import Host
from medvid.redaction import redact
from medvid.runs.differences import MAY_DIFFER, differences, flat
from medvid.runs.folder import RunFolder

_MAY_DIFFER = (*MAY_DIFFER, "train.devices")  # which keeps to the steps of the run, or is refused

State = Literal["absent", "unfinished", "finished"]


@dataclass(frozen=True, slots=True)
class GivenFolder:
    """A folder that the user names for a run of a task.

    Args:
        folder: need not exist.
        asked: the task as it was asked for, without what its data fill in.
        host: the plugins.
    """

    folder: RunFolder
    asked: Task
    host: Host

    @classmethod
    def of(cls, path: Path, asked: Task, host: Host) -> "GivenFolder":
        """The folder of this path; what the task says of the place of its runs gives way to it."""
        folder = RunFolder(Path(os.path.abspath(path.expanduser())))  # noqa: PTH100 (keeps symlinks, removes ..)
        return cls(folder, asked.model_copy(update={"output": folder.path.parent}), host)

    def state(self, task: Task) -> State:
        """What is in the folder.

        Args:
            task: as asked for, with what its data fill in.

        Raises:
            ConfigError: a run of another task, with the options that differ; or something that is not a run.
        """
        path = self.folder.path
        if not self.folder.resolved.is_file():
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise ConfigError(
                    f"--folder {path} is neither a run folder nor empty", hint="give one that does not exist yet"
                )
            return "absent"
        self._check_same(task)
        return "finished" if read_json(self.folder.summary).get("status") == "finished" else "unfinished"

    def _check_same(self, task: Task) -> None:
        asked, filled, began = (_options(each) for each in (self.asked, task, self._began()))
        changed = {
            key: line
            for key, line in differences(began, filled).items()
            if key not in _MAY_DIFFER and not (_is_of_data(key) and asked.get(key) != filled.get(key))
        }
        if changed:
            raise ConfigError(
                f"{self.folder.path} holds a run of another task: {redact('; '.join(changed.values()))}",
                hint=f"give another --folder, or the options in {self.folder.resolved}",
            )

    def task_to_continue(self) -> Task:
        """The task as the run began with it, with what its data filled in; its data and devices may be others."""
        began, asked = self._began(), self.asked
        dataset = {"root": asked.dataset.root.absolute(), "cache": asked.dataset.cache.absolute()}
        train = {name: getattr(asked.train, name) for name in ("workers", "load_timeout", "devices")}
        return began.model_copy(
            update={
                "dataset": began.dataset.model_copy(update=dataset),
                "train": began.train.model_copy(update=train),
            }
        )

    def _began(self) -> Task:
        return load_task(self.folder.resolved, self.host)


def _options(task: Task) -> dict[str, Any]:
    return dict(flat(task.model_dump(mode="json")))


def _is_of_data(key: str) -> bool:
    return key.startswith("dataset.")


def finished_note(folder: RunFolder) -> str:
    """That nothing is left to do, with the first figure of the run."""
    metrics = read_json(folder.summary).get("metrics") or {}
    figures = [f": {name} {value:.4g}" for name, value in metrics.items() if value is not None][:1]
    return "".join([f"{folder.path} is finished", *figures])
