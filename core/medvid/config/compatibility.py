"""Whether a task's data set, backbone and head fit together, from their specs and options alone."""

from collections.abc import Iterable

from medvid.config.classification import ClassificationHeadOptions
from medvid.config.layout import Adaptation, find_adaptation, plural
from medvid.config.options import BackboneOptions
from medvid.config.task import Task
from medvid.errors import CheckpointError, ConfigError
from medvid.plugin.host import Host
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import BackboneSpec, DatasetSpec, HeadSpec

_SHOWN = 20

MAX_LABELS = 256
"""A label map has one byte per voxel."""


def check_compatible(task: Task, host: Host) -> tuple[str, ...]:
    """Refuse parts that do not fit together, before torch is imported.

    Returns:
        One line for each adaptation that makes them fit, and for what has no effect.

    Raises:
        ConfigError: with one sentence on what does not fit.
        DataError: the data set's index files, which tell its channels and labels, are missing or contradictory.
    """
    dataset = host.spec("dataset", task.dataset.name)
    backbone = host.spec("backbone", task.backbone.name)
    head = host.spec("head", task.head.name)
    _check_task(dataset, head, host)
    check_features(backbone, head)
    _check_layout(dataset, head)
    _check_labels(dataset, task.dataset.target_info())
    _check_class_weights(task)
    devices = task.train.devices
    check_split(task, 1 if devices == "auto" else devices)
    adaptation = find_adaptation(backbone, task.backbone, task.dataset.input_info())
    _check_test_input(task, adaptation)
    notes = [_MIXES_NOTHING] if _mixes_nothing(task) else []
    if adaptation:
        shown = f"{plural([dataset.layout])} {adaptation.manner}"
        notes.append(f"backbone {backbone.name} ({adaptation.native}) runs on {shown}")
    return tuple(notes)


def check_split(task: Task, processes: int) -> None:
    """Refuse a loss that needs whole batches where a step takes its batch in parts.

    Args:
        task: resolved.
        processes: that share the training.

    Raises:
        ConfigError: naming the options.
    """
    try:
        task.head.check_split(task.train.accumulate, processes)
    except ValueError as error:
        raise ConfigError(
            f"{error}", hint="set another loss, or a larger train.batch_size and train.accumulate=1"
        ) from None


def check_weights_exist(options: BackboneOptions) -> None:
    """Refuse published weights that are not there, of a backbone or of one inside it.

    Raises:
        CheckpointError: naming the file.
    """
    if options.weights and not options.weights.path.is_file():
        raise CheckpointError(
            f"{options.weights.path}: no such file", hint="correct backbone.weights.path, or download it"
        )
    for _, inner in options:
        if isinstance(inner, BackboneOptions):
            check_weights_exist(inner)


_MIXES_NOTHING = (
    "head.mix mixes examples of different cases of a batch, but train.batch_size is 1: nothing will be mixed"
)


def _mixes_nothing(task: Task) -> bool:
    mix = task.head.mix if isinstance(task.head, ClassificationHeadOptions) else None
    return bool(mix and mix.is_on and task.train.batch_size == 1)


def _check_class_weights(task: Task) -> None:
    weights = task.head.loss.class_weights if isinstance(task.head, ClassificationHeadOptions) else None
    labels = task.dataset.target_info().labels
    if weights is not None and len(weights) != len(labels):
        raise ConfigError(
            f"head.loss.class_weights has {len(weights)} weights, the data set {len(labels)} labels",
            hint=f"give one for each label, in this order: {', '.join(labels[:_SHOWN])}",
        )


def _check_task(dataset: DatasetSpec, head: HeadSpec, host: Host) -> None:
    if dataset.task != head.task:
        fitting = _names(spec.name for spec in host.specs("head") if spec.task == dataset.task)
        raise ConfigError(
            f"head {head.name!r} is for {head.task}, but data set {dataset.name!r} is labelled for {dataset.task}",
            hint=f"heads for {dataset.task}: {fitting}",
        )


def check_features(backbone: BackboneSpec, head: HeadSpec) -> None:
    """Refuse a head that cannot work from anything the backbone gives.

    Raises:
        ConfigError: with one sentence.
    """
    if not set(head.needs) & set(backbone.features):
        raise ConfigError(
            f"head {head.name!r} works from {' or '.join(head.needs)}, but backbone {backbone.name!r} gives only "
            f"{' and '.join(backbone.features)}"
        )


def _check_layout(dataset: DatasetSpec, head: HeadSpec) -> None:
    layout = dataset.layout
    if layout not in head.layouts:
        raise ConfigError(
            f"head {head.name!r} works on {plural(head.layouts)}, but data set {dataset.name!r} consists of "
            f"{plural([layout])}"
        )


def _check_test_input(task: Task, adaptation: Adaptation | None) -> None:
    """Refuse a backbone that can be trained on the data set's inputs, but not take those of its evaluation."""
    trained, given = task.dataset.input_info(), task.dataset.test_input_info()
    if given == trained:
        return
    if adaptation:
        trained, given = (adaptation.inner(info, task.backbone) for info in (trained, given))
    try:
        task.backbone.check_test_input(trained, given)
    except ValueError as error:
        raise ConfigError(
            f"backbone {task.backbone.name!r} cannot take the {given.layout}s of evaluation: {error}",
            hint="leave out what makes them differ from those of training, such as dataset.test_frames",
        ) from None


def _check_labels(dataset: DatasetSpec, target: TargetInfo) -> None:
    count = len(target.labels)
    if count < 2:
        raise ConfigError(
            f"data set {dataset.name!r} has {count} label ({', '.join(target.labels)}); there have to be two at least"
            + (", the background and one more" if target.task == "segmentation" else "")
        )
    if target.task == "segmentation" and count > MAX_LABELS:
        raise ConfigError(f"data set {dataset.name!r} has {count} labels, more than the {MAX_LABELS} of a label map")


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none is enabled"
