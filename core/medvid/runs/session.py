"""What running, evaluating and predicting have in common: a checked task with its data set, model and evaluator."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

from lightning_fabric import Fabric

from medvid.config.compatibility import check_split
from medvid.config.load import data_problem
from medvid.config.task import Task
from medvid.data.dataset import Dataset
from medvid.errors import DataError
from medvid.models.build import Model, build_model
from medvid.models.head import Evaluator
from medvid.plugin.host import Host
from medvid.runs.pseudonymous import PseudonymousDataset
from medvid.runs.pseudonyms import Pseudonyms
from medvid.training.launch import launch


@dataclass(frozen=True, slots=True)
class Session:
    """A task brought to life.

    Args:
        task: resolved and checked.
        host: the plugins.
        fabric: launched.
        dataset: pointed at its folder, not prepared yet.
        model: freshly initialised, on the CPU.
        evaluator: the head's inference procedure and metrics.
        pseudonyms: that the data set names its cases by, if the task asks for them.
    """

    task: Task
    host: Host
    fabric: Fabric
    dataset: Dataset
    model: Model
    evaluator: Evaluator
    pseudonyms: Pseudonyms | None = None

    def hidden_errors(self) -> AbstractContextManager[None]:
        """A block in which errors tell pseudonyms, if the task asks for them."""
        return self.pseudonyms.errors() if self.pseudonyms else nullcontext()


def open_session(task: Task, host: Host, *, needs_data: bool = True, pseudonyms: Pseudonyms | None = None) -> Session:
    """Start the devices, make sure that the data is there, and build the model.

    Args:
        task: resolved and checked.
        host: the plugins.
        needs_data: False for predicting new files, which works without the data set of the training.
        pseudonyms: to name cases by.

    Raises:
        ResourceError: a device is missing.
        DataError: the data set is missing.
        ConfigError: the loss needs whole batches, and there are several devices.
    """
    fabric = launch(task.train)
    check_split(task, fabric.world_size)
    if needs_data and (problem := data_problem(task)):
        raise DataError(problem, hint="put the data there, or run on the generated sample: --sample")
    spec = host.spec("dataset", task.dataset.name)
    dataset = cast(Dataset, host.load(spec, spec.target)(task.dataset))
    if pseudonyms:
        pseudonyms.learn_task(task)  # once more, as the sample may only just have been generated
        dataset = PseudonymousDataset(dataset, pseudonyms)
    model = build_model(task, host)
    evaluator = model.head.evaluator(task.evaluation, dataset.input_info, dataset.target_info)
    return Session(task, host, fabric, dataset, model, evaluator, pseudonyms)


def generate_sample(task: Task, host: Host) -> None:
    """Generate the data where the task runs on its sample, unless it is there; several processes may do so at once."""
    if task.sample:
        spec = host.spec("dataset", task.dataset.name)
        options = host.load(spec, spec.sample_config).model_validate(task.sample.generate)
        host.load(spec, spec.sample)(task.dataset.root, options)
