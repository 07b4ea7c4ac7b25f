"""Heads that answer each frame: what is seen of a frame alone, and what is made of the sequence of them."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from medvid.models.features import Features
from medvid.models.head import Head


class Context(NamedTuple):
    """The frames that an answer depends on besides its own, counted in frames of a window.

    Args:
        before: how many of those before it.
        after: how many of those after it.
    """

    before: int
    after: int


class FrameHead(Head, ABC):
    """Base of heads of frames, or slices, in two parts.

    `embed` makes one embedding of each frame. It mixes no frames, unless the features that it is given are mixed
    already, or have fewer frames than the input. `answer` makes the answers of a sequence of embeddings of any length,
    the same way wherever in a case it lies: an answer with its context in the sequence is that of the whole case. So
    where a backbone sees each frame alone, each is embedded once, and long videos are answered piece by piece.
    """

    width: int
    """Of an embedding, D."""
    context: Context

    @abstractmethod
    def embed(self, features: Features, input: Tensor) -> Tensor:
        """Embeddings (B, T, D) of the frames of an input (B, C, *S), from its features."""

    @abstractmethod
    def answer(self, embeddings: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits or numbers (B, T, N) of embeddings (B, T, D); in training perhaps of several stages, the best last."""

    def forward(self, features: Features, input: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Answer the frames of an input (B, C, *S): (B, T, N), in training perhaps of several stages."""
        return self.answer(self.embed(features, input))

    def loss(self, output: Tensor | tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
        """The loss of the criterion; of several stages its mean."""
        if isinstance(output, Tensor):
            return super().loss(output, target)
        loss = super().loss
        each = [loss(stage, target) for stage in output]
        return {name: torch.stack([losses[name] for losses in each]).mean() for name in each[0]}
