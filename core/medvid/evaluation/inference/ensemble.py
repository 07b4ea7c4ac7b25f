"""Several models as one: what is the mean of their answers, and where it is taken.

The models see the same windows or views. `Ensemble` has their logits side by side, so that windows are blended for each
model by itself, in the memory that one model of as many more labels needs; then `Average` makes one answer of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from medvid.models.frame_head import Context
from medvid.plugin.specs import What, Where

Combine = Callable[[Tensor], Tensor]
"""See `medvid.evaluation.protocols.ViewProtocol.combine`."""
Averaged = Literal["logits", "probabilities"]
"""As nnU-Net does it: logits of the folds of one configuration, probabilities of different ones."""


class Ensemble(nn.Module):
    """The outputs of models side by side.

    Args:
        models: each maps (B, C, *S) to N labels or values, all the same.
        where: what they predict of: labels of voxels are on the axis after the batch, others on the last one.
    """

    def __init__(self, models: Sequence[nn.Module], where: Where) -> None:
        super().__init__()
        self.models, self._axis = nn.ModuleList(models), 1 if where == "voxel" else -1

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *S) to models x N labels or values, float32."""
        return torch.cat([model(input).float() for model in self.models], dim=self._axis)

    @property
    def context(self) -> Context | None:
        """What the answers of all models depend on; None unless all of them embed each frame alone."""
        each = [getattr(model, "context", None) for model in self.models]
        known = [context for context in each if context is not None]
        return Context(*map(max, zip(*known, strict=True))) if len(known) == len(each) else None

    def embed(self, input: Tensor) -> Tensor:
        """The embeddings (B, T, widths) of all models side by side, float32."""
        models: list[Any] = [*self.models]
        return torch.cat([model.embed(input).float() for model in models], dim=-1)

    def answer(self, embeddings: Tensor) -> Tensor:
        """Map such embeddings to models x N labels or values (B, T, models x N), float32."""
        models: list[Any] = [*self.models]
        parts = torch.split(embeddings, [model.width for model in models], dim=-1)
        return torch.cat([model.answer(part).float() for model, part in zip(models, parts, strict=True)], dim=-1)


@dataclass(frozen=True, slots=True)
class Average:
    """One answer of those of several models.

    Args:
        models: how many there are.
        of: what is averaged; values are averaged as they are.
        what: what is predicted.
    """

    models: int
    of: Averaged
    what: What

    def scores(self, outputs: Tensor) -> Tensor:
        """The scores (N, ...) that decide as the mean does, of scores of all models (models x N, ...).

        Of probabilities their logarithms, or logits where labels may overlap: what is above a half is above 0.
        """
        members = outputs.chunk(self.models)
        if self.of == "logits" or self.what == "value":
            return mean_of(members)
        parts = torch.stack(members)
        if self.what == "class":
            return mean_in_logarithms(parts.log_softmax(dim=1))
        present, absent = (mean_in_logarithms(nn.functional.logsigmoid(sign * parts)) for sign in (1, -1))
        return present - absent

    def of_views(self, outputs: Tensor, combine: Combine) -> Tensor:
        """The answer (..., N) for a case or its frames, of the outputs for its views (V, ..., models x N)."""
        parts = outputs.chunk(self.models, dim=-1)
        if self.of == "logits" or self.what == "value":
            return combine(mean_of(parts))
        answers = torch.stack([combine(part) for part in parts])
        return mean_in_logarithms(answers) if self.what == "class" else answers.mean(dim=0)


def combining(combine: Combine, average: Average | None) -> Combine:
    """How views are combined, where there may be several models."""
    return partial(average.of_views, combine=combine) if average else combine


def mean_of(members: Sequence[Tensor]) -> Tensor:
    """The mean of what several models say, in float32 at least, whatever they are stored in."""
    total = members[0].to(torch.promote_types(members[0].dtype, torch.float32), copy=True)
    for member in members[1:]:
        total += member
    return total / len(members)


def mean_in_logarithms(values: Tensor) -> Tensor:
    """The logarithm of the mean over the first axis, of logarithms."""
    return values.logsumexp(dim=0) - math.log(len(values))
