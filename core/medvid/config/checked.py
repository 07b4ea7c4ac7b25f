"""A task whose parts fit together, as a value: found out once, before torch is imported, and never looked up again."""

from dataclasses import dataclass

from medvid.config.axes import Adaptation, find_adaptation
from medvid.config.compatibility import (
    check_clips,
    check_options,
    check_specs,
    check_target,
    check_test_input,
    check_transforms,
    notes_on,
)
from medvid.config.components import options_in
from medvid.config.mirroring import with_mirrored_axes
from medvid.config.task import Task
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import BackboneSpec, ComponentSpec, DatasetSpec, FormatSpec, HeadSpec, ProtocolSpec


@dataclass(frozen=True, slots=True)
class CheckedTask:
    """A task that can be built, run, evaluated and predicted with. `check_task` makes it.

    Args:
        task: its options.
        host: the plugins that its components come from.
        components: the specs of all that it names, also of those inside others, and of the formats of volumes.
        input_info: what the model is fed in training.
        target_info: what it predicts.
        adaptation: how the backbone serves axes that are not its own; None where they are.
        notes: a line for each thing that has no effect, and for what makes the parts fit.
    """

    task: Task
    host: Host
    components: tuple[ComponentSpec, ...]
    input_info: InputInfo
    target_info: TargetInfo
    adaptation: Adaptation | None = None
    notes: tuple[str, ...] = ()

    @property
    def backbone_info(self) -> InputInfo:
        """What the backbone itself is fed."""
        given = self.input_info
        return self.adaptation.inner(given, self.task.backbone) if self.adaptation else given


def check_task(task: Task, host: Host) -> CheckedTask:
    """Refuse a task whose parts do not fit together.

    Raises:
        ConfigError: with one sentence on what does not fit.
        DataError: the data set's index files, which tell its channels and labels, are missing or contradictory.
    """
    backbone = host.spec(BackboneSpec, task.backbone.name)
    head, dataset = host.spec(HeadSpec, task.head.name), host.spec(DatasetSpec, task.dataset.name)
    protocol = host.spec(ProtocolSpec, task.evaluation.protocol.name)
    check_specs(dataset, backbone, head, protocol, host)
    target_info = task.dataset.target_info()
    check_target(dataset, (target_info.what,), head, protocol, host)
    task = task.model_copy(update={"head": task.head.filled(target_info)})
    check_options(task, target_info, host)
    input_info = task.dataset.input_info()
    check_transforms(task, input_info, target_info)
    adaptation = find_adaptation(backbone, task.backbone, input_info)
    check_test_input(task, input_info, adaptation)
    check_clips(task, input_info)
    formats = host.specs(FormatSpec) if dataset.axes == "volume" else ()
    components = (*(host.spec_of(options) for options in options_in(task)), *formats)
    task, mirror_notes = with_mirrored_axes(task, input_info, target_info)
    notes = (*notes_on(task, adaptation), *mirror_notes)
    return CheckedTask(task, host, components, input_info, target_info, adaptation, notes)
