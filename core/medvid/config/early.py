"""Checks that refuse a run before torch is imported, which takes seconds."""

from medvid.config.checked import CheckedTask, check_task
from medvid.config.compatibility import check_weights_exist
from medvid.config.demo import generate_demo
from medvid.config.load import with_absolute_paths
from medvid.config.options import FoldOptions
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
    check_folds_exist(task)
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


def check_folds_exist(task: Task) -> None:
    """Refuse a file of folds that does not exist; what it holds, the data set says.

    Raises:
        DataError: naming it.
    """
    fold = task.dataset.fold
    if isinstance(fold, FoldOptions) and not fold.file.is_file():
        raise DataError(
            f"dataset.fold.file, the folds of {task.dataset.name!r}, does not exist: {fold.file}",
            hint="make it: platform data splits TASK -o FILE",
        )


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
