"""The base of backbones with networks of others: their outputs are measured, not taken on trust."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medvid.errors import ConfigError
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.resize import resize
from medvid.plugin import InputInfo

Size = tuple[int, ...]


class MeasuredBackbone(Backbone, ABC):
    """Base of the backbones; a subclass calls `measure` once its network is built.

    Args:
        title: its name in messages.
        input_info: its inputs.
    """

    def __init__(self, title: str, input_info: InputInfo) -> None:
        super().__init__()
        self.title, self.input_info = title, input_info
        self.fixed = False
        """Whether it takes only the size in `input_info`."""

    @abstractmethod
    def encode(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Map (B, C, H, W) to maps (B, C_i, H_i, W_i), finest first, and the embedding (B, D)."""

    def measure(self, reductions: Sequence[int] = ()) -> None:
        """Determine the network's outputs by a pass on the meta device, which computes only shapes.

        Args:
            reductions: the author's stride of each map, which is used if it is true.

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
                hint="do not change its pooling in model_args",
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
            ValueError: the network does not take the size.
        """
        maps, embedding = self._encode_any(input)
        size = tuple(input.shape[2:])
        infos = self.feature_info.maps
        return Features(tuple(fit(item, size, info.stride) for item, info in zip(maps, infos, strict=True)), embedding)

    def _encode_any(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """`encode`, with an error message for sizes that were not measured."""
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
    """Pixels per cell: the author's number if it is about right, else the nearest number."""
    if reduction is not None and abs(cells - length / reduction) <= 1:
        return reduction
    return max(1, round(length / cells))


def fit(item: Tensor, size: Size, strides: Size) -> Tensor:
    """A map (B, C, H, W), unchanged if its stride is a whole number, else interpolated so that it is.

    PiT cuts overlapping patches, 27 x 27 out of 224 x 224, one less on each axis than stride 8 implies.
    """
    if all(cells in _counts(*axis) for cells, *axis in zip(item.shape[2:], size, strides, strict=True)):
        return item
    wanted = [-(-length // step) for length, step in zip(size, strides, strict=True)]
    return resize(item, wanted)


def chosen(out_indices: Sequence[int] | None, reductions: Sequence[int], title: str) -> list[int]:
    """Indices of the maps to return, ascending: the wanted ones, else the last one of each resolution.

    With a single resolution the default is four at equal distances.

    Args:
        out_indices: the wanted ones, counted from the end if negative.
        reductions: stride of each map.
        title: name of the network in the message.

    Raises:
        ConfigError: there are fewer maps.
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
    """Number of cells for a stride, rounded up or down."""
    return {-(-length // step), max(1, length // step)}
