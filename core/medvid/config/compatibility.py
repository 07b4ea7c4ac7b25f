"""The rules of `medvid.config.checked.check_task`: whether a task's parts fit, from specs and options alone."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch

from medvid.config.axes import Adaptation, plural
from medvid.config.components import options_in, transforms_in
from medvid.config.evaluation import ALL
from medvid.config.options import BackboneOptions, LossOptions, RunWeights
from medvid.config.task import Task
from medvid.errors import CheckpointError, ConfigError
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo, TargetInfo, described
from medvid.plugin.specs import Axes, BackboneSpec, DatasetSpec, HeadSpec, LossSpec, ProtocolSpec, What, Where

_SHOWN = 20
_BALANCED: Mapping[str, What] = {"classes": "class", "labels": "labels"}

MAX_LABELS = 256
"""A label map has one byte per voxel."""


def check_specs(
    dataset: DatasetSpec, backbone: BackboneSpec, head: HeadSpec, protocol: ProtocolSpec, host: Host
) -> None:
    """Refuse components that no options could make fit together.

    Raises:
        ConfigError: with one sentence on what does not fit.
    """
    check_target(dataset, dataset.what, head, protocol, host)
    check_features(backbone, head)
    _check_axes(dataset, head)


def check_target(
    dataset: DatasetSpec, whats: Sequence[What], head: HeadSpec, protocol: ProtocolSpec, host: Host
) -> None:
    """Refuse a head that predicts, or a protocol that scores, none of what a data set is annotated with.

    Args:
        dataset: the data set.
        whats: what it is, or may be, annotated with.
        head: the head.
        protocol: the protocol.
        host: has the others that would do.

    Raises:
        ConfigError: with one sentence.
    """
    annotated = " or ".join(described(dataset.where, what) for what in whats)
    _check_predicted(dataset, whats, head, annotated, host)
    _check_scored(dataset, whats, protocol, annotated, host)


def check_options(task: Task, target: TargetInfo, host: Host) -> None:
    """Refuse options that contradict each other, or the labels of the data set.

    Raises:
        ConfigError: with one sentence on what does not fit.
    """
    _check_labels(task.dataset.name, target)
    assert task.head.loss, "check_task has named it"
    check_loss(task.head.loss, target, host)
    _check_protocol(task, target)
    _check_postprocessing(task, target)
    _check_balance(task, target)
    devices = task.train.devices
    check_split(task, target, 1 if devices == "auto" else devices)


def notes_on(task: Task, adaptation: Adaptation | None) -> tuple[str, ...]:
    """A line for each option without effect, and for each adaptation of the parts to one another."""
    notes: tuple[str, ...] = (_MIXES_NOTHING,) if _mixes_nothing(task) else ()
    if task.head.expects_frozen_backbone() and not _freezes_backbone(task):
        notes = (*notes, _TRAINS_BACKBONE.format(task.head.name))
    if adaptation is None:
        return notes
    shown = f"{plural([adaptation.given])} {adaptation.manner}"
    return (*notes, f"backbone {task.backbone.name} ({adaptation.native}) runs on {shown}")


def check_split(task: Task, target: TargetInfo, processes: int) -> None:
    """Refuse a loss that needs whole batches where a step takes its batch in parts.

    Args:
        task: resolved.
        target: what it predicts.
        processes: that share the training.

    Raises:
        ConfigError: naming the options.
    """
    try:
        task.head.check_split(task.train.accumulate, processes, target)
    except ValueError as error:
        raise ConfigError(
            f"{error}", hint="set another loss, or a larger train.batch_size and train.accumulate=1"
        ) from None


def check_weights_exist(task: Task) -> None:
    """Refuse weights to start from that are not there, of the backbone or of one inside it.

    Raises:
        CheckpointError: naming the file or run.
    """
    for options in options_in(task):
        weights = options.weights if isinstance(options, BackboneOptions) else None
        if isinstance(weights, RunWeights):
            if not weights.path.is_dir():
                raise CheckpointError(f"{weights.path}: no such run folder", hint="correct backbone.weights.path")
        elif weights and not weights.path.is_file():
            raise CheckpointError(f"{weights.path}: no such file", hint="correct backbone.weights.path, or download it")


_MIXES_NOTHING = (
    "head.mix mixes examples of different cases of a batch, but train.batch_size is 1: nothing will be mixed"
)


_TRAINS_BACKBONE = (
    "head {} is for a frozen backbone, but train.freeze does not name it: add [{{parameters: backbone.*}}]"
)


def _freezes_backbone(task: Task) -> bool:
    """Whether all parameters of the backbone are frozen for good."""
    return any(freeze.steps is None and fnmatch("backbone.*", freeze.parameters) for freeze in task.train.freeze)


def _mixes_nothing(task: Task) -> bool:
    return task.head.mixes_cases() and task.train.batch_size == 1


def check_loss(loss: LossOptions, target: TargetInfo, host: Host) -> None:
    """Refuse a loss that is not for a target, or has one inside that is not.

    Raises:
        ConfigError: naming the loss, and the option or the losses that are for it.
    """
    for options in options_in(loss):
        if isinstance(options, LossOptions):
            _check_one_loss(options, target, host)


def _check_one_loss(loss: LossOptions, target: TargetInfo, host: Host) -> None:
    if not _lowers(host.spec(LossSpec, loss.name), target):
        fitting = _names(spec.name for spec in host.specs(LossSpec) if _lowers(spec, target))
        raise ConfigError(
            f"head.loss {loss.name!r} is not for {described(target.where, target.what)}, which the data "
            "set is annotated with",
            hint=f"losses that are: {fitting}",
        )
    try:
        loss.check_target(target)
    except ValueError as error:
        names = ", ".join(target.names[:_SHOWN])
        raise ConfigError(f"head.loss, {loss.name}: {error}", hint=f"the labels are: {names}") from None


def _lowers(loss: LossSpec, target: TargetInfo) -> bool:
    return target.where in loss.where and target.what in loss.what


def check_transforms(task: Task, given: InputInfo, target: TargetInfo) -> None:
    """Refuse transforms that cannot change the training examples.

    Args:
        task: resolved.
        given: the examples.
        target: what they are annotated with.

    Raises:
        ConfigError: with the transform's reason.
    """
    for options in transforms_in(task.dataset):
        try:
            options.check(given, target)
        except ValueError as error:
            raise ConfigError(
                f"transform {options.name!r} cannot change the examples of data set {task.dataset.name!r}: {error}",
                hint="leave it out of dataset.augment",
            ) from None
    _check_order(task, given)


def _check_order(task: Task, given: InputInfo) -> None:
    """Refuse a change of a video's colours after one that leaves normalised values."""
    first = ""
    for options in transforms_in(task.dataset) if given.axes == "video" else ():
        if options.of_colours and first:
            raise ConfigError(
                f"dataset.augment has {options.name} after {first}, which leaves normalised values: {options.name} "
                "changes colours as they are stored",
                hint=f"move {options.name} in front of {first}",
            )
        first = first or (options.name if options.normalises else "")


def can_score(spec: ProtocolSpec, where: Where, what: What, axes: Axes) -> bool:
    """Whether a protocol has figures for a target of cases with these axes."""
    return where in spec.where and what in spec.what and axes in spec.axes


def _check_scored(
    dataset: DatasetSpec, whats: Sequence[What], protocol: ProtocolSpec, annotated: str, host: Host
) -> None:
    def scores(spec: ProtocolSpec) -> bool:
        return any(can_score(spec, dataset.where, what, dataset.axes) for what in whats)

    if not scores(protocol):
        fitting = _names(spec.name for spec in host.specs(ProtocolSpec) if scores(spec))
        raise ConfigError(
            f"protocol {protocol.name!r} does not score {annotated} of {plural([dataset.axes])}, which data set "
            f"{dataset.name!r} is annotated with",
            hint=f"protocols that do: {fitting}",
        )


def _check_protocol(task: Task, target: TargetInfo) -> None:
    try:
        task.evaluation.protocol.check_target(target)
    except ValueError as error:
        raise ConfigError(
            f"protocol {task.evaluation.protocol.name!r} cannot score data set {task.dataset.name!r}: {error}",
            hint="set another evaluation.protocol, such as medvid",
        ) from None


def _check_postprocessing(task: Task, target: TargetInfo) -> None:
    asked, split = getattr(task.evaluation, "largest_component", ()), task.evaluation.split
    of_labels = {"largest_component": asked, "probabilities": getattr(task.evaluation, "probabilities", False)}
    if target.what == "value" and (given := [name for name, value in of_labels.items() if value]):
        raise ConfigError(
            f"evaluation.{given[0]} is of labels, but data set {task.dataset.name!r} is annotated with "
            f"{described(target.where, target.what)}",
            hint=f"leave out evaluation.{given[0]}",
        )
    if asked == "if_better":
        if split != "validation":
            raise ConfigError(
                f"evaluation.largest_component is if_better, but what is better would be chosen on the split {split!r}",
                hint="evaluate validation first, then the other: platform evaluate RUN --set evaluation.split=...",
            )
        return
    known = (ALL, *target.names[1 if target.what == "class" else 0 :])
    if wrong := [step for step in asked if step not in known or asked.count(step) > 1]:
        raise ConfigError(
            f"evaluation.largest_component has {wrong[0]!r}, which is not one of the labels, or stands twice",
            hint=f"there are: {', '.join(known[:_SHOWN])}",
        )


def _check_balance(task: Task, target: TargetInfo) -> None:
    balance = task.train.balance
    if balance and (target.where, target.what) != ("case", _BALANCED[balance]):
        fitting = next((name for name, what in _BALANCED.items() if (target.where, target.what) == ("case", what)), "")
        raise ConfigError(
            f"train.balance is {balance}, but data set {task.dataset.name!r} is annotated with "
            f"{described(target.where, target.what)}, not with {described('case', _BALANCED[balance])}",
            hint=f"set train.balance: {fitting}" if fitting else "leave out train.balance",
        )


def _check_predicted(dataset: DatasetSpec, whats: Sequence[What], head: HeadSpec, annotated: str, host: Host) -> None:
    def predicts(spec: HeadSpec) -> bool:
        return dataset.where == spec.where and bool(set(whats) & set(spec.what))

    if not predicts(head):
        fitting = _names(spec.name for spec in host.specs(HeadSpec) if predicts(spec))
        predicted = " or ".join(described(head.where, what) for what in head.what)
        raise ConfigError(
            f"head {head.name!r} predicts {predicted}, but data set {dataset.name!r} is annotated with {annotated}",
            hint=f"heads that predict {annotated}: {fitting}",
        )


def check_features(backbone: BackboneSpec, head: HeadSpec) -> None:
    """Refuse a head that cannot work from anything the backbone gives.

    Raises:
        ConfigError: with one sentence.
    """
    if not set(head.needs) & set(backbone.features):
        raise ConfigError(
            f"head {head.name!r} needs {' or '.join(head.needs)}, but backbone {backbone.name!r} returns only "
            f"{' and '.join(backbone.features)}"
        )


def _check_axes(dataset: DatasetSpec, head: HeadSpec) -> None:
    axes = dataset.axes
    if axes not in head.axes:
        raise ConfigError(
            f"head {head.name!r} works on {plural(head.axes)}, but data set {dataset.name!r} consists of "
            f"{plural([axes])}"
        )


def check_test_input(task: Task, trained: InputInfo, adaptation: Adaptation | None) -> None:
    """Refuse a backbone that can be trained on the data set's inputs, but not take those of its evaluation.

    Args:
        task: resolved.
        trained: the inputs of training.
        adaptation: how the backbone takes them.

    Raises:
        ConfigError: with the backbone's reason.
        DataError: as `DatasetOptions.input_info`.
    """
    given = task.dataset.test_input_info()
    if given == trained:
        return
    if adaptation:
        trained, given = (adaptation.inner(info, task.backbone) for info in (trained, given))
    try:
        task.backbone.check_test_input(trained, given)
    except ValueError as error:
        raise ConfigError(
            f"backbone {task.backbone.name!r} cannot take the {given.axes}s of evaluation: {error}",
            hint="leave out what makes them differ from those of training, such as dataset.test_frames",
        ) from None


def check_clips(task: Task, given: InputInfo) -> None:
    """Refuse `evaluation.clips: all` where a case has no clips, or but one.

    Raises:
        ConfigError: naming the data set.
    """
    if getattr(task.evaluation, "clips", 1) != "all":
        return
    if given.axes != "video":
        reason = f"the data set {task.dataset.name!r} is of {given.axes}s"
    elif (getattr(task.dataset, "test_sampling", None) or getattr(task.dataset, "sampling", "")) == "segments":
        reason = f"a clip of the data set {task.dataset.name!r} spans a whole video (dataset.sampling: segments)"
    else:
        return
    raise ConfigError(f"evaluation.clips is all, but {reason}", hint="set evaluation.clips: 1")


def _check_labels(name: str, target: TargetInfo) -> None:
    count = len(target.names)
    if target.what == "class" and count < 2:
        raise ConfigError(
            f"data set {name!r} has {count} label ({', '.join(target.names)}); at least 2 are required"
            + (", the background and one more" if target.where == "voxel" else "")
        )
    if target.where == "voxel" and target.what == "class" and count > MAX_LABELS:
        raise ConfigError(f"data set {name!r} has {count} labels, more than the {MAX_LABELS} of a label map")


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none is enabled"
