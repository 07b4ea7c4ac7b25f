"""A weighted sum of losses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from medvid.devices.whole_batch import is_shared
from medvid.losses.loss import Loss
from medvid.losses.options import SumOptions
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import Build


class Sum(Loss):
    """The weighted sum of several losses, each a mean over what it divides by in the whole batch.

    Args:
        options: the losses and their weights.
        target_info: what each of them is of.
        build: makes them.
    """

    weights: Tensor

    def __init__(self, options: SumOptions, target_info: TargetInfo, build: Build) -> None:
        super().__init__()
        self.names = tuple(_distinct([part.name for part in options.parts]))
        self.parts = nn.ModuleList(build(part, target_info) for part in options.parts)
        self.register_buffer("weights", torch.tensor(options.weights or [1.0] * len(self.parts)), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss of what all of its parts take.

        Returns:
            Scalars ``loss``, and each part by its name, not weighted; the second of a name as ``name_2``.
        """
        losses = [cast(dict[str, Tensor], part(output, target)) for part in self.parts]
        values = values_in_whole(losses, len(output))
        total = (values * self.weights.to(values.dtype)).sum()
        return {"loss": total, **dict(zip(self.names, values.unbind(), strict=True))}


def values_in_whole(losses: Sequence[dict[str, Tensor]], examples: int) -> Tensor:
    """The values (n,) of n losses, so that their mean over the examples of all processes is that of the whole batch.

    Args:
        losses: what they return.
        examples: their number in this process.
    """
    values = torch.stack([each["loss"] for each in losses])
    if any("weight" in each for each in losses) and is_shared(values):
        values = values * _shares(losses, values, examples)
    return values


def _shares(losses: Sequence[dict[str, Tensor]], values: Tensor, examples: int) -> Tensor:
    """What to multiply each part with, so that the mean over the examples of all processes is that of the whole batch.

    It is this process's share of the weight of the whole, by its share of the examples.
    """
    count = values.new_full((), examples)
    own = torch.stack([*(each.get("weight", count).to(values.dtype) for each in losses), count])
    whole = own.clone()
    torch.distributed.all_reduce(whole)
    shares = own / whole.clamp_min(torch.finfo(own.dtype).tiny)
    return shares[:-1] / shares[-1]


def _distinct(names: Sequence[str]) -> Iterator[str]:
    seen = Counter[str]()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}"
