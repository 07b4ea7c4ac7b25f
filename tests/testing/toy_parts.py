"""Losses, transforms and optimizers, each of which breaks one promise; and their options."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from medvid.config.options import LossOptions, OptimizerOptions, TransformOptions
from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.losses.loss import Loss
from medvid.plugin.info import UNKNOWN, TargetInfo


class ToyLossOptions(LossOptions):
    name: str = "toy"


class GoodLoss(Loss):
    """Cross entropy over what is known."""

    def __init__(self, options: ToyLossOptions, target_info: TargetInfo) -> None:  # noqa: ARG002
        super().__init__()

    def entropy(self, output: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(output, target, ignore_index=UNKNOWN, reduction="sum")

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        known = (target != UNKNOWN).sum()
        return {
            "loss": self.entropy(output, target) / known.clamp_min(1),
            "weight": known / target[0].numel(),  # in examples
        }


class VectorLoss(GoodLoss):
    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(output, target, reduction="none")}


class NamelessLoss(GoodLoss):
    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"entropy": super().forward(output, target)["loss"]}


class RootLoss(GoodLoss):
    """Its gradient is infinite at zero."""

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        losses = super().forward(output, target)
        return losses | {"loss": losses["loss"] + output.pow(2).sum().sqrt()}


class RewardingLoss(GoodLoss):
    def entropy(self, output: Tensor, target: Tensor) -> Tensor:
        return super().entropy(-output, target)


class SummingLoss(GoodLoss):
    """Divides by the wrong number."""

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": self.entropy(output, target)}


class GullibleLoss(GoodLoss):
    """Takes what is not annotated for the first class."""

    def entropy(self, output: Tensor, target: Tensor) -> Tensor:
        return super().entropy(output, target.clamp_min(0))


class DividingLoss(GoodLoss):
    """Divides by nothing where nothing is annotated."""

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        weight = (target != UNKNOWN).sum()
        return {"loss": self.entropy(output, target) / weight, "weight": weight}


class LopsidedLoss(GoodLoss):
    """Weighs the classes, and does not say so in its options."""

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        weights = torch.tensor([1.0, 2, 5], dtype=output.dtype)
        known = weights[target.clamp_min(0)] * (target != UNKNOWN)
        total = functional.cross_entropy(output, target, weights, ignore_index=UNKNOWN, reduction="sum")
        return {"loss": total / known.sum().clamp_min(1), "weight": known.sum()}


class CoarseLoss(GoodLoss):
    def entropy(self, output: Tensor, target: Tensor) -> Tensor:
        return super().entropy(output, target).to(output.dtype)


class WaitingLoss(GoodLoss):
    """Reads a value of the batch."""

    def entropy(self, output: Tensor, target: Tensor) -> Tensor:
        return super().entropy(output, target) + float(target[0].sum() < -1000)


class ToyTransformOptions(TransformOptions):
    name: str = "toy"


class GoodTransform(Transform):
    """Flips the last axis, or not."""

    def __init__(self, options: ToyTransformOptions) -> None: ...

    def draw(self, generator: torch.Generator) -> bool:
        return bool(torch.rand((), generator=generator) < 0.5)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        if not self.draw(generator):
            return batch
        return replace(batch, input=batch.input.flip(-1), target=batch.target.flip(-1))


class GamblingTransform(GoodTransform):
    def draw(self, generator: torch.Generator) -> bool:  # noqa: ARG002
        return bool(torch.rand(()) < 0.5)


class IdleTransform(GoodTransform):
    def draw(self, generator: torch.Generator) -> bool:  # noqa: ARG002
        return False


class SpoilingTransform(GoodTransform):
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        batch.input.mul_(0.5 + float(torch.rand((), generator=generator)))
        return batch


class InventiveTransform(GoodTransform):
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        changed = super().__call__(batch, generator)
        return replace(changed, target=changed.target + 1)


class ClingingTransform(GoodTransform):
    def __init__(self, options: ToyTransformOptions) -> None:  # noqa: ARG002
        self.scale = lambda value: value


class AskingTransform(GoodTransform):
    on_device = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return super().__call__(batch, generator) if batch.input.mean() > 0 else batch


class LingeringTransform(GoodTransform):
    on_device = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return replace(batch, input=batch.input + torch.rand(batch.input.shape[-1], generator=generator))


class ToyOptimizerOptions(OptimizerOptions):
    name: str = "toy"


Groups = list[dict[str, Any]]


class GoodOptimizer(torch.optim.SGD):
    def __init__(self, options: ToyOptimizerOptions, groups: Groups) -> None:
        super().__init__(groups, lr=options.lr, momentum=0.9)


class IdleOptimizer(GoodOptimizer):
    """Forgets its second group."""

    def step(self, closure: Any = None) -> Any:
        self.param_groups[1]["params"][0].grad = None
        return super().step(closure)


class ClimbingOptimizer(torch.optim.SGD):
    def __init__(self, options: ToyOptimizerOptions, groups: Groups) -> None:
        super().__init__(groups, lr=options.lr, maximize=True)


class StubbornOptimizer(GoodOptimizer):
    """Follows no schedule."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] = self.defaults["lr"]
        return super().step(closure)


class ForgetfulOptimizer(GoodOptimizer):
    """Keeps its momentum to itself."""

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"state": {}}
