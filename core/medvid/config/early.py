"""Checks that refuse a run before torch is imported, which takes seconds."""

from medvid.config.checked import CheckedTask, check_task
from medvid.config.compatibility import check_weights_exist
from medvid.config.demo import generate_demo
from medvid.config.load import with_absolute_paths
from medvid.config.task import Task
from medvid.errors import DataError
from medvid.files import check_writable
from medvid.plugin.host import Host


def check_run(task: Task, host: Host) -> CheckedTask:
    """Make a new run of a task ready: its paths are absolute, its demo data generated, its options filled in.

    Raises:
        ConfigError: its parts do not fit together.
        DataError: the data set is missing, or its index files contradict the task.
        CheckpointError: published weights are missing.
        ResourceError: the folder of runs or of prepared cases cannot be written.
    """
    check_data(task)
    check_weights_exist(task)
    for folder in (task.output, task.dataset.cache):
        check_writable(folder)
    task = with_absolute_paths(task)
    generate_demo(task, host)
    return check_task(task.model_copy(update={"dataset": task.dataset.filled()}), host)


def check_again(task: Task, host: Host) -> CheckedTask:
    """Make the task of an earlier run ready to continue with its data; raises as `check_run`."""
    check_data(task)
    generate_demo(task, host)
    return check_task(task, host)


def check_data(task: Task) -> None:
    """Refuse a task whose data set does not exist; demo data can still have to be generated.

    Raises:
        DataError: with its folder.
    """
    root = task.dataset.root
    if not task.demo and not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise DataError(
            f"dataset.root, the folder of {task.dataset.name!r}, {problem}: {root}",
            hint="put the data there, or run on the demo data: --demo",
        )
