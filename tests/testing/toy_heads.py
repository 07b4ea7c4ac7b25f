"""A head that keeps to the contract, and others that break one promise each."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.data.batch import Batch
from medvid.models.features import FeatureInfo, Features
from medvid.models.head import Head
from medvid.plugin.info import InputInfo, TargetInfo


class Good(Head):
    def __init__(
        self,
        options: Any,  # noqa: ARG002
        features: FeatureInfo,
        input_info: InputInfo,  # noqa: ARG002 (every head gets it)
        target_info: TargetInfo,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(features.maps[0].channels, len(target_info.names))

    def forward(self, features: Features, input: Tensor) -> Tensor:
        x = self.linear(features.maps[0].movedim(1, -1)).movedim(-1, 1)
        return self.finish(functional.interpolate(x, input.shape[2:]))

    def finish(self, x: Tensor) -> Tensor:
        return x


class Crops(Good):
    """Its logits are a row too small."""

    def finish(self, x: Tensor) -> Tensor:
        return x[:, :, 1:]


class Scatters(Good):
    """Its loss is no scalar."""

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(output, target, reduction="none")}


class Misnames(Good):
    """Its loss has another name."""

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"cost": super().loss(output, target)["loss"]}


class Rewards(Good):
    """Its loss falls where answers are wrong."""

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": -super().loss(output, target)["loss"]}


class Idle(Good):
    """Has a parameter that nothing depends on."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.spare = nn.Parameter(torch.zeros(3))


class Dilutes(Good):
    """Divides by the number of voxels that have a label, without saying so."""

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(output, target, ignore_index=0)}


class Drops(Good):
    """Loses an example when mixing."""

    def mix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch.input[1:], batch.target[1:]


class Noisy(Good):
    """Is random in eval mode."""

    def finish(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Hides(Good):
    """Depends on a random tensor that is not in its state."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.offset = torch.randn(())

    def finish(self, x: Tensor) -> Tensor:
        return x + self.offset


class Casts(Good):
    """Computes in float32, whatever it is given."""

    def finish(self, x: Tensor) -> Tensor:
        return x.float()


class Views(Good):
    """Takes the axes in memory for granted."""

    def forward(self, features: Features, input: Tensor) -> Tensor:
        features.maps[0].view(-1)
        return super().forward(features, input)


class Asks(Good):
    """Decides by a value, which only the device knows."""

    def finish(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


class OnCpu(Good):
    """Its loss takes rows of the target by numbers that are on the CPU, which the meta device forgives."""

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return super().loss(output, target.index_select(1, torch.arange(target.shape[1])))
