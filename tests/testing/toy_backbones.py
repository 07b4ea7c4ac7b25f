"""A backbone that keeps to the contract, and others that break one promise each."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.info import InputInfo


class Good(Backbone):
    def __init__(self, options: Any, input_info: InputInfo) -> None:
        super().__init__()
        width = options.width
        self.stem = nn.Conv2d(input_info.channels, width, 2, stride=2)
        self.table = nn.Parameter(torch.randn(1, width, 1, 1))
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU()) for _ in range(2))
        self.feature_info = FeatureInfo((MapInfo(width, (2, 2)),) * 2, embedding=width)

    def forward(self, input: Tensor) -> Features:
        if input.shape[2] % 2 or input.shape[3] % 2:
            raise ValueError(f"size {list(input.shape[2:])} is odd")
        x = self.stem(self.change(input)) + self.table
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return Features((*maps[:-1], self.finish(x)), x.mean((2, 3)))

    def change(self, input: Tensor) -> Tensor:
        return input

    def finish(self, x: Tensor) -> Tensor:
        return x

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [*self.blocks]

    @property
    def no_weight_decay(self) -> Sequence[str]:
        return ("table",)


class Grows(Good):
    """Its last map has a channel more than declared."""

    def finish(self, x: Tensor) -> Tensor:
        return torch.cat([x, x[:, :1]], dim=1)


class Shrinks(Good):
    """Its last map has another stride than declared."""

    def finish(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 2)


class Silent(Good):
    """Refuses sizes without naming them."""

    def change(self, input: Tensor) -> Tensor:
        if input.shape[3] > 8:
            raise ValueError("that will not do")
        return input


class Crashes(Good):
    """Lets torch's own errors through."""

    def change(self, input: Tensor) -> Tensor:
        return input + torch.zeros(8, device=input.device, dtype=input.dtype)


class Idle(Good):
    """Has a parameter that nothing depends on."""

    def __init__(self, options: Any, input_info: InputInfo) -> None:
        super().__init__(options, input_info)
        self.spare = nn.Parameter(torch.zeros(3))


class Cuts(Good):
    """Detaches its input."""

    def change(self, input: Tensor) -> Tensor:
        return input.detach()


class Noisy(Good):
    """Is random in eval mode."""

    def finish(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Mixes(Good):
    """Normalises by the batch in eval mode."""

    def finish(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


class Hides(Good):
    """Depends on a random tensor that is not in its state."""

    def __init__(self, options: Any, input_info: InputInfo) -> None:
        super().__init__(options, input_info)
        self.offset = torch.randn(())

    def finish(self, x: Tensor) -> Tensor:
        return x + self.offset


class Reverses(Good):
    """Names its layers last first."""

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [*reversed(self.blocks)]


class Misnames(Good):
    """Names a table that there is not."""

    @property
    def no_weight_decay(self) -> Sequence[str]:
        return ("tabel",)


class Counting(nn.Conv2d):
    """A layer that remembers how often it was trained on."""

    calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += self.training
        return super().forward(input) * (1 + self.calls)


class Remembers(Good):
    """Has layers that give something else when they are computed again."""

    def __init__(self, options: Any, input_info: InputInfo) -> None:
        super().__init__(options, input_info)
        for block in self.blocks:
            block[0] = Counting(options.width, options.width, 1)


class Coarse(Good):
    """Loses what bf16 cannot hold."""

    def finish(self, x: Tensor) -> Tensor:
        return (x + 1000) - 1000


class Casts(Good):
    """Computes in float32, whatever it is given."""

    def finish(self, x: Tensor) -> Tensor:
        return x.float()


class Views(Good):
    """Takes the axes in memory for granted."""

    def change(self, input: Tensor) -> Tensor:
        return input.view(len(input), -1).view(input.shape)


class OnCpu(Good):
    """Makes a tensor on the CPU."""

    def finish(self, x: Tensor) -> Tensor:
        return x + torch.arange(x.shape[3])


class Asks(Good):
    """Decides by a value, which only the device knows."""

    def finish(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


class Looks(Good):
    """In eval mode it takes rows by numbers that are on the CPU, which the meta device forgives."""

    def finish(self, x: Tensor) -> Tensor:
        return x if self.training else x.index_select(2, torch.arange(x.shape[2]))


class Centres(Good):
    """In training, an example depends on the others of its batch."""

    def change(self, input: Tensor) -> Tensor:
        return input - input.mean(0, keepdim=True) if self.training else input
