"""Views of a video that share its frames."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from medvid.data.batch import Pixels


@dataclass(frozen=True, slots=True)
class SharedFrames:
    """The views of a case that overlap in time, made a few at a time: all of them would take many times its memory.

    Args:
        frames: all frames that any view needs, cropped (crops, F, C, H, W) uint8.
        places: of the T frames of each clip among them (clips, T) int64.
        pixels: how bytes become the input of a model.
    """

    frames: Tensor
    places: Tensor
    pixels: Pixels

    def __len__(self) -> int:
        """How many views there are: clips x crops, clips outermost."""
        return len(self.places) * len(self.frames)

    @property
    def shape(self) -> torch.Size:
        """As if they were one tensor, (clips * crops, C, T, H, W)."""
        channels, *size = self.frames.shape[2:]
        return torch.Size((len(self), channels, self.places.shape[1], *size))

    def __getitem__(self, chosen: slice) -> Tensor:
        """Some of the views, (N, C, T, H, W) float32."""
        numbers = torch.arange(len(self), device=self.places.device)[chosen]
        crops = len(self.frames)
        clips = self.frames[(numbers % crops)[:, None], self.places[numbers // crops]]  # N, T, C, H, W
        return replace(self.pixels, erased=(None,) * len(numbers)).normalise(clips.transpose(1, 2))

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Self:
        """On a device."""
        frames, places = (each.to(device, non_blocking=non_blocking) for each in (self.frames, self.places))
        return replace(self, frames=frames, places=places)

    def pin_memory(self) -> Self:
        """In pinned memory, from which they are copied to a GPU without waiting."""
        return replace(self, frames=self.frames.pin_memory(), places=self.places.pin_memory())
