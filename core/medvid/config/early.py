"""What a run is refused for before torch is imported, which takes seconds."""

from medvid.config.compatibility import check_compatible, check_weights_exist
from medvid.config.load import data_problem
from medvid.config.task import Task
from medvid.errors import DataError
from medvid.files import check_writable
from medvid.plugin.host import Host


def refuse_early(task: Task, host: Host) -> None:
    """Refuse a task whose parts, weights, data or folders cannot be used.

    Raises:
        ConfigError: its parts do not fit together.
        DataError: the data set is missing, or its index files contradict the task.
        CheckpointError: published weights are missing.
        ResourceError: the folder of runs or of prepared cases cannot be written.
    """
    if problem := data_problem(task):
        raise DataError(problem, hint="put the data there, or run on the generated sample: --sample")
    check_weights_exist(task.backbone)
    for folder in (task.output, task.dataset.cache):
        check_writable(folder)
    if not task.sample or task.dataset.root.exists():  # only a data set that is there says what its labels are
        check_compatible(task, host)
