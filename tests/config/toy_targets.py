"""What the components of toy_nested.py are built as."""

from torch import Tensor
from toy_nested import GapOptions, TotalOptions

from medvid.losses.loss import Loss
from medvid.plugin import Build, TargetInfo


class Gap(Loss):
    def __init__(self, options: GapOptions, target_info: TargetInfo) -> None:
        super().__init__()
        self.weight, self.labels = options.weight, target_info.names

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": self.weight * (output - target).abs().mean()}


class Total(Loss):
    def __init__(self, options: TotalOptions, target_info: TargetInfo, build: Build) -> None:
        super().__init__()
        self.terms: list[Loss] = [build(term, target_info) for term in options.terms]

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": sum(term(output, target)["loss"] for term in self.terms)}


class Unfit:
    def __init__(self, options: GapOptions, target_info: TargetInfo) -> None: ...
