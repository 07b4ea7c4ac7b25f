"""UNETR at its published size against monai.networks.nets.UNETR as its users run it.

    python benchmarks/unetr.py [--steps N] [--quick]

MONAI's is trained with its DiceCELoss. What is measured, and how: see contest.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from contest import Contest, make_parser, run
from monai.losses import DiceCELoss
from monai.networks import nets
from torch import Tensor, nn
from torch.nn import functional

from medvid.data.batch import Batch
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_unetr.config import UnetrDecoderOptions, UNETROptions
from medvid_unetr.model import UNETR
from medvid_unetr.weights import translate

HOST = make_host()

MONAI_LOSS = DiceCELoss(to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=0.0, smooth_dr=1e-6)


@dataclass(frozen=True)
class UNETRContest(Contest):
    """Size of the network and of its patches."""

    reference: str = "MONAI"
    batch_size: int = 1
    lr: float = 1e-4
    weight_decay: float = 1e-5
    size: int = 96
    labels: int = 14
    feature_size: int = 16
    hidden_size: int = 768
    mlp_dim: int = 3072
    num_heads: int = 12

    def published(self) -> nn.Module:
        torch.manual_seed(0)
        network: nn.Module = nets.UNETR(
            in_channels=1,
            out_channels=self.labels,
            img_size=(self.size,) * 3,
            feature_size=self.feature_size,
            hidden_size=self.hidden_size,
            mlp_dim=self.mlp_dim,
            num_heads=self.num_heads,
            proj_type="perceptron",
        )
        return network

    def ours(self) -> Model:
        size = (self.size,) * 3
        input_info = InputInfo("volume", 1, size)
        target_info = TargetInfo("voxel", "class", tuple(map(str, range(self.labels))))
        widths = {"hidden_size": self.hidden_size, "mlp_dim": self.mlp_dim, "num_heads": self.num_heads}
        backbone = UNETR(UNETROptions(name="unetr", img_size=size, **widths), input_info)
        options = UnetrDecoderOptions(name="unetr_decoder", feature_size=self.feature_size)
        model = Model(backbone, build_head(HOST.build, options, backbone.feature_info, input_info, target_info))
        model.load_state_dict(translate(self.published().state_dict(), "monai", model).tensors)
        return model

    def batches(self) -> Iterator[Batch]:
        """Smooth noise, labelled by its brightness."""
        generator = torch.Generator().manual_seed(0)
        while True:
            coarse = torch.rand(self.batch_size, 1, 8, 8, 8, generator=generator)
            smooth = functional.interpolate(coarse, [self.size] * 3, mode="trilinear")
            noise = torch.randn(smooth.shape, generator=generator)
            yield Batch(smooth + 0.05 * noise, (smooth[:, 0] * self.labels).long(), ("",) * self.batch_size)

    def loss(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = MONAI_LOSS(network(input), target.unsqueeze(1))
        return loss


QUICK = UNETRContest(size=32, labels=4, feature_size=4, hidden_size=48, mlp_dim=96, num_heads=4)


def main() -> None:
    arguments = make_parser(__doc__, steps=20).parse_args()
    run(QUICK if arguments.quick else UNETRContest(), arguments)


if __name__ == "__main__":
    main()
