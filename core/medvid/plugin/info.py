"""What a model is fed and what it has to predict, known before anything heavy is imported."""

from dataclasses import dataclass

from medvid.plugin.specs import Layout, TaskKind


@dataclass(frozen=True, slots=True)
class InputInfo:
    """What a model is fed: (B, channels, *size).

    Args:
        layout: the meaning of the axes *S, see `medvid.plugin.specs.Layout`.
        channels: number of channels.
        size: length of each axis *S in training, in voxels, pixels and frames.
    """

    layout: Layout
    channels: int
    size: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What a data set's labels are.

    Args:
        task: segmentation (one label per voxel) or classification (one per case).
        labels: name of each label id, in order; for segmentation id 0 is the background.
    """

    task: TaskKind
    labels: tuple[str, ...]
