"""What is common to backbones whose network others wrote: what they return is measured, not taken on trust."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from medvid.errors import ConfigError
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin import InputInfo

Size = tuple[int, ...]


class MeasuredBackbone(Backbone, ABC):
    """Base of the backbones; a subclass calls `measure` once its network is built.

    Args:
        title: how messages name it.
        input_info: what it will be fed.
    """

    def __init__(self, title: str, input_info: InputInfo) -> None:
        super().__init__()
        self.title, self.input_info = title, input_info
        self.fixed = False
        """Whether it takes no other size than that of `input_info`."""

    @abstractmethod
    def encode(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Map (B, C, H, W) to maps (B, C_i, H_i, W_i), finest first, and the embedding (B, D)."""

    def measure(self, reductions: Sequence[int] = ()) -> None:
        """Find out what the network returns, by a pass on the meta device, which computes nothing but shapes.

        Args:
            reductions: the stride of each map as the network's author has it; it is taken where it is true.

        Raises:
            ConfigError: the network cannot take the inputs, or returns no embedding.
        """
        size, encoder = self.input_info.size, _Encoder(self)
        meta = {name: item.to("meta") for name, item in chain(encoder.named_parameters(), encoder.named_buffers())}
        images = torch.empty(2, self.input_info.channels, *size, device="meta")
        try:
            with torch.no_grad():
                maps, embedding = functional_call(encoder, meta, (images,))
        except Exception as error:
            raise ConfigError(
                self._refusal(size, error), hint="set the data set's size to one that the model takes"
            ) from error
        if embedding.ndim != 2:
            raise ConfigError(
                f"{self.title} gives an embedding of shape {list(embedding.shape)}, not one vector per input",
                hint="let model_args leave its pooling as it is",
            )
        given = [reductions[index] if reductions else None for index in range(len(maps))]
        infos = (
            MapInfo(item.shape[1], tuple(map(stride, size, item.shape[2:], (reduction, reduction))))
            for item, reduction in zip(maps, given, strict=True)
        )
        self.feature_info = FeatureInfo(tuple(infos), embedding.shape[1])

    def forward(self, input: Tensor) -> Features:
        """Map images (B, C, H, W) to maps (B, C_i, H_i, W_i) and embedding (B, D).

        Raises:
            ValueError: a size that the network does not take.
        """
        maps, embedding = self._encode_any(input)
        size = tuple(input.shape[2:])
        infos = self.feature_info.maps
        return Features(tuple(fit(item, size, info.stride) for item, info in zip(maps, infos, strict=True)), embedding)

    def _encode_any(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """`encode`, with a sentence for sizes that the network was not measured with."""
        size = tuple(input.shape[2:])
        if size == self.input_info.size:
            return self.encode(input)
        if self.fixed:
            raise ValueError(
                f"this {self.title} was built for inputs of size {list(self.input_info.size)}, not {list(size)}"
            )
        try:
            return self.encode(input)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError) as error:
            raise ValueError(self._refusal(size, error)) from error

    def _refusal(self, size: Size, error: Exception) -> str:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return f"{self.title} cannot take inputs of size {list(size)}: {reason}"


class _Encoder(nn.Module):
    """Lets `functional_call`, which calls forward, reach `encode`."""

    def __init__(self, backbone: MeasuredBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        return self.backbone.encode(input)


def stride(length: int, cells: int, reduction: int | None) -> int:
    """How many pixels a cell spans: the author's figure, unless it is not even nearly that, else the nearest number."""
    if reduction is not None and abs(cells - length / reduction) <= 1:
        return reduction
    return max(1, round(length / cells))


def fit(item: Tensor, size: Size, strides: Size) -> Tensor:
    """A map (B, C, H, W) as it is where its stride is a whole number, else interpolated to where it is.

    PiT cuts overlapping patches, 27 x 27 out of 224 x 224, which is one less on each axis than stride 8 stands for.
    """
    if all(cells in _counts(*axis) for cells, *axis in zip(item.shape[2:], size, strides, strict=True)):
        return item
    wanted = [-(-length // step) for length, step in zip(size, strides, strict=True)]
    return functional.interpolate(item, wanted, mode="bilinear")


def chosen(out_indices: Sequence[int] | None, reductions: Sequence[int], title: str) -> list[int]:
    """Indices of the maps to give, ascending: those asked for, else the last one of each resolution.

    Of a network of one resolution it is four at equal distances by default.

    Args:
        out_indices: those asked for, from the end where negative.
        reductions: stride of each map that there is.
        title: how the message names the network.

    Raises:
        ConfigError: there are not as many maps.
    """
    count = len(reductions)
    if out_indices is None:
        last = [index for index, step in enumerate(reductions) if step not in reductions[index + 1 :]]
        parts = min(4, count)
        return last if len(last) > 1 else [count * part // parts - 1 for part in range(1, parts + 1)]
    if beyond := [index for index in out_indices if not -count <= index < count]:
        raise ConfigError(
            f"out_indices names map {beyond[0]} of {title}, which has {count}, counted from 0",
            hint="choose others, or leave out_indices out",
        )
    return sorted({index % count for index in out_indices})


def _counts(length: int, step: int) -> set[int]:
    """How many cells a stride leads to, by rounding up or down."""
    return {-(-length // step), max(1, length // step)}
