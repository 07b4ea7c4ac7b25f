"""Mirrored copies of the input as further answers of a model, whose mean counts."""

from collections.abc import Sequence
from itertools import chain, combinations
from typing import Any, cast

import torch
from torch import Tensor, nn

from medvid.config.mirroring import SPATIAL
from medvid.evaluation.inference.ensemble import mean_of
from medvid.models.frame_head import Context
from medvid.plugin.specs import Axes


class Mirrored(nn.Module):
    """The mean of a model's logits over its input mirrored along each subset of some axes.

    Answers for voxels are mirrored back. It calls the model 2 ** axes times with batches as large as its own, and holds
    one sum besides.

    Args:
        model: maps (B, C, *S) to logits (B, labels, *S), (B, N) of whole cases, or (B, T, N) of frames.
        dims: of the input to mirror, counted from its end.
    """

    def __init__(self, model: nn.Module, dims: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self._subsets = [
            list(subset) for subset in chain.from_iterable(combinations(dims, size) for size in range(1, 1 + len(dims)))
        ]

    def forward(self, input: Tensor) -> Tensor:
        """The mean logits, float32."""
        total: Tensor = self.model(input).float()
        for dims in self._subsets:
            logits: Tensor = self.model(input.flip(dims)).float()
            total = total + (logits.flip(dims) if logits.ndim == input.ndim else logits)
        return total / (1 + len(self._subsets))

    @property
    def context(self) -> Context | None:
        """The model's, if it has any."""
        return getattr(self.model, "context", None)

    def embed(self, input: Tensor) -> Tensor:
        """Embeddings (B, T, inputs x D) of the frames of an input, as it is and mirrored, side by side."""
        embed = cast(Any, self.model).embed
        return torch.cat([embed(input), *(embed(input.flip(dims)) for dims in self._subsets)], dim=-1)

    def answer(self, embeddings: Tensor) -> Tensor:
        """The mean logits (B, T, N) of such embeddings."""
        answer = cast(Any, self.model).answer
        return mean_of([answer(each) for each in embeddings.chunk(1 + len(self._subsets), dim=-1)])


def mirrored(model: nn.Module, names: Sequence[str], axes: Axes) -> nn.Module:
    """The model, over mirrored inputs where axes are named.

    Args:
        model: see `Mirrored`.
        names: of the axes to mirror, see `medvid.config.mirroring.SPATIAL`.
        axes: of the model's input.
    """
    order = SPATIAL[axes]
    return Mirrored(model, [order.index(name) - len(order) for name in names]) if names else model
