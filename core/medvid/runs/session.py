"""What running, evaluating and predicting have in common: a checked task with its data set, model and evaluator."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from lightning_fabric import Fabric

from medvid.config.checked import CheckedTask
from medvid.config.compatibility import check_split
from medvid.config.task import Task
from medvid.data.dataset import Dataset
from medvid.data.loading.workers import Loading
from medvid.data.transforms.build import build_transforms
from medvid.data.transforms.deferred import placed
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.cases import EvaluationSetup
from medvid.evaluation.evaluator import Evaluator
from medvid.models.build import build_model
from medvid.models.model import Model
from medvid.runs.pseudonymous import PseudonymousDataset
from medvid.runs.pseudonyms import Pseudonyms
from medvid.training.launch import launched


@dataclass(frozen=True, slots=True)
class Session:
    """A task brought to life.

    Args:
        checked: the task.
        fabric: launched.
        dataset: pointed at its folder, not prepared yet.
        model: freshly initialised, on the CPU.
        evaluator: the inference and the scorer of its target.
        pseudonyms: that the data set names its cases by, if the task asks for them.
    """

    checked: CheckedTask
    fabric: Fabric
    dataset: Dataset
    model: Model
    evaluator: Evaluator
    pseudonyms: Pseudonyms | None = None

    @property
    def task(self) -> Task:
        """The task's options."""
        return self.checked.task

    @property
    def evaluation(self) -> EvaluationSetup:
        """With what cases are evaluated."""
        return EvaluationSetup(self.fabric, self.evaluator, self.dataset, self.loading)

    @property
    def loading(self) -> Loading:
        """In which processes cases are read."""
        return Loading(self.task.train.workers, self.task.train.load_timeout)

    def hidden_errors(self) -> AbstractContextManager[None]:
        """A block in which errors tell pseudonyms, if the task asks for them."""
        return self.pseudonyms.errors() if self.pseudonyms else nullcontext()


@contextmanager
def launched_session(checked: CheckedTask, pseudonyms: Pseudonyms | None = None) -> Iterator[Session]:
    """Start the processes of the task's devices, for the block, and build data set, model and evaluator in each.

    Args:
        checked: the task.
        pseudonyms: to name cases by.

    Raises:
        ResourceError: a device is missing.
        DistributedError: other processes were started than the task asks for.
        ConfigError: the loss needs whole batches, and there are several devices; or transforms cannot be applied where
            the task wants them.
    """
    with launched(checked.task.train) as fabric:
        yield build_session(checked, fabric, pseudonyms)


def build_session(checked: CheckedTask, fabric: Fabric, pseudonyms: Pseudonyms | None = None) -> Session:
    """Build data set, model and evaluator of a task in a process that is started.

    Args:
        checked: the task.
        fabric: launched.
        pseudonyms: to name cases by.

    Raises:
        ConfigError: the loss needs whole batches, and there are several devices.
    """
    task = checked.task
    check_split(task, checked.target_info, fabric.world_size)
    dataset: Dataset = checked.host.build(task.dataset)
    dataset.transforms = build_transforms(task.dataset, checked.host, "case")
    dataset.transforms = placed(dataset, task.train.transforms_on, fabric.device)
    if pseudonyms:
        pseudonyms.learn_task(task)  # once more, as the demo data may only just have been generated
        dataset = PseudonymousDataset(dataset, pseudonyms)
    model = build_model(checked)
    evaluator = build_evaluator(task.evaluation, checked.input_info, checked.target_info, checked.host)
    return Session(checked, fabric, dataset, model, evaluator, pseudonyms)
