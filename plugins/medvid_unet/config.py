"""Options of nnU-Net's encoders and of their decoder; what a plan of nnU-Net says is written here one to one."""

from functools import cached_property
from math import prod
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from medvid.config.options import BackboneOptions
from medvid.models.options import DecoderOptions, NNUNetWeights
from medvid.models.transformer_options import nearest
from medvid.plugin import InputInfo

PerAxis = Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3)]
RESIDUAL_BLOCKS = (1, 3, 4, 6)
"""Of the first stages of a residual encoder; further ones have as many as the last (Isensee et al., MICCAI 2024)."""


class UNetOptions(BackboneOptions):
    """The encoder of nnU-Net's U-Nets, plain or residual; a stage after the other, each a feature map.

    In a plan of nnU-Net: features_per_stage, strides, kernel_sizes, and n_conv_per_stage or n_blocks_per_stage. Its
    axes are z, y, x, as its transpose_forward reorders them; those here are the data set's, for volumes R, A, S.
    """

    weights: NNUNetWeights | None = None
    """Weights to start from; default: He's initialisation."""
    encoder: Literal["plain", "resenc"] = "plain"
    """plain: convolutions (Isensee et al., Nature Methods 2021); resenc: residual blocks (Isensee et al., MICCAI 2024).
    """
    features: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Channels of each stage."""
    strides: tuple[PerAxis, ...]
    """Stride of each stage, by axis: that of its first convolution."""
    kernels: tuple[PerAxis, ...] | None = None
    """Kernel of each stage, by axis; odd. Default: 3 on all axes."""
    blocks: tuple[PositiveInt, ...] | None = None
    """Convolutions of each stage, or residual blocks; default: 2 convolutions; 1, 3, 4, 6, 6, ... residual blocks."""

    @cached_property
    def kernel_of_stages(self) -> tuple[tuple[int, ...], ...]:
        """The kernels, whether they are given or not."""
        return self.kernels or ((3,) * self.rank,) * len(self.features)

    @cached_property
    def blocks_of_stages(self) -> tuple[int, ...]:
        """The numbers of convolutions or residual blocks, whether they are given or not."""
        count = len(self.features)
        usual = (2,) * count if self.encoder == "plain" else (*RESIDUAL_BLOCKS, *[RESIDUAL_BLOCKS[-1]] * count)[:count]
        return self.blocks or usual

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.strides[0])

    @property
    def total_stride(self) -> tuple[int, ...]:
        """Of the last stage."""
        return tuple(prod(axis) for axis in zip(*self.strides, strict=True))

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        for name in ("strides", "kernels", "blocks"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.features):
                raise ValueError(f"{name} has {len(given)} entries, but features has {len(self.features)}: one a stage")
        for name in ("strides", "kernels"):
            for entry in getattr(self, name) or ():
                if len(entry) != self.rank:
                    raise ValueError(f"{name}: {list(entry)} has {len(entry)} axes, strides begins with {self.rank}")
        check_odd(self.kernels)
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input that the strides do not divide, or of which they leave a single voxel.

        Raises:
            ValueError: naming the size, and those that work.
        """
        if len(info.size) != self.rank:
            raise ValueError(f"strides and kernels have {self.rank} axes, but the inputs have size {list(info.size)}")
        check_divides(info.size, self.total_stride)


class UNetDecoderOptions(DecoderOptions):
    """The decoder of nnU-Net's U-Nets: a level for each map of the backbone but the last."""

    deep_supervision: bool = True
    """Train at the scales of all levels but the coarsest, with weights 1, 1/2, 1/4, ... that add up to 1."""
    convs: PositiveInt | tuple[PositiveInt, ...] = 2
    """Convolutions of each level, or of all; nnU-Net has 1 behind a residual encoder. Finest level first."""
    kernels: tuple[PerAxis, ...] | None = None
    """Kernel of each level, by axis, finest first; odd. nnU-Net's are those of the encoder. Default: 3 on all axes."""

    @model_validator(mode="after")
    def _kernels_are_odd(self) -> Self:
        check_odd(self.kernels)
        return self


def check_odd(kernels: tuple[tuple[int, ...], ...] | None) -> None:
    """Refuse kernels without a middle.

    Raises:
        ValueError: naming the kernel.
    """
    for kernel in kernels or ():
        if any(length % 2 == 0 for length in kernel):
            raise ValueError(f"kernels: {list(kernel)} has to be odd on each axis, so that maps keep their size")


def check_divides(size: tuple[int, ...], total: tuple[int, ...]) -> None:
    """Refuse a size that the strides of all stages together do not divide, or of which they leave a single voxel.

    Raises:
        ValueError: naming the size, and those that work.
    """
    if any(length % stride for length, stride in zip(size, total, strict=True)):
        raise ValueError(
            f"inputs have size {list(size)}, which the strides of all stages together, {list(total)}, do not divide; "
            f"{nearest(size, total)}"
        )
    if size == total:
        raise ValueError(
            f"inputs have size {list(size)}, of which the strides leave a single voxel, and instance norms need "
            f"several: use larger inputs, such as {[2 * length for length in size]}, or fewer strides"
        )
