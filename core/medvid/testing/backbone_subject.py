"""A backbone under test: how it is built, and what it is fed."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from medvid.config.examples import example_input
from medvid.models.backbone import Backbone
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec
from medvid.testing.check import Subject
from medvid.testing.compare import perturb

BATCH = 2


@dataclass(frozen=True)
class BackboneSubject(Subject):
    """A backbone with one of its examples."""

    @cached_property
    def input_info(self) -> InputInfo:
        """What the example is for."""
        return example_input(cast(BackboneSpec, self.spec), self.example, self.example.axes)

    def build(self, info: InputInfo | None = None, *, seed: int = 0) -> Backbone:
        """A freshly initialised backbone in eval mode, the same for the same seed; none of its parameters is zero."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone: Backbone = self.make_target(info or self.input_info)
        perturb(backbone)
        return backbone.eval()

    def input(self, info: InputInfo | None = None, *, batch: int = BATCH, seed: int = 0) -> Tensor:
        """A random input (B, C, *S)."""
        info = info or self.input_info
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, info.channels, *info.size, generator=generator)

    def other_infos(self) -> list[InputInfo]:
        """Inputs of other sizes: one voxel less on each axis, and twice as many on the last one."""
        *first, last = self.input_info.size
        sizes = [tuple(length - 1 for length in self.input_info.size), (*first, 2 * last)]
        return [replace(self.input_info, size=size) for size in sizes if min(size) > 0]
