"""What contests of video networks share: the classifier, the clips, and how transformers' networks are called."""

import argparse
from collections.abc import Iterator

import torch
from common import count
from contest import Contest, make_parser
from torch import Tensor, nn
from torch.nn import functional

from medvid.data.batch import Batch
from medvid.models.backbone import Backbone
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import LinearClassifierOptions

HOST = make_host()


class TransformersContest(Contest):
    """Against one of transformers' networks, with its own loss."""

    def arrange(self, input: Tensor) -> Tensor:
        return input.transpose(1, 2).contiguous()  # B, T, C, H, W

    def scores(self, network: nn.Module, input: Tensor) -> Tensor:
        scores: Tensor = network(input).logits
        return scores

    def loss(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = network(input, labels=target).loss
        return loss


def make_video_parser(description: str | None) -> argparse.ArgumentParser:
    parser = make_parser(description, steps=10)
    parser.add_argument("--batch-size", type=count, default=1, help="clips per step")
    return parser


def classifier(backbone: Backbone, info: InputInfo, labels: int) -> Model:
    target = TargetInfo("case", "class", tuple(map(str, range(labels))))
    options = LinearClassifierOptions(name="classification")
    return Model(backbone, build_head(HOST.build, options, backbone.feature_info, info, target))


def clips(batch_size: int, size: tuple[int, int, int], labels: int) -> Iterator[Batch]:
    """Smooth noise, labelled by its brightness; the same sequence at each call."""
    generator = torch.Generator().manual_seed(0)
    while True:
        target = torch.randint(labels, (batch_size,), generator=generator)
        coarse = torch.rand(batch_size, 3, 4, 8, 8, generator=generator)
        smooth = functional.interpolate(coarse, size, mode="trilinear")
        brightness = 2 * target / labels - 1
        yield Batch(smooth + brightness.reshape(-1, 1, 1, 1, 1), target, ("",) * batch_size)
