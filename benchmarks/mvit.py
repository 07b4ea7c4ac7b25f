"""MViT-B 16x4 against pytorchvideo's and MViTv2-S against torchvision's, at published size, as their users run them.

    python benchmarks/mvit.py [--model NAME] [--batch-size N] [--steps N] [--quick]

Nothing is dropped, so that losses can be compared. What is measured, and how: see contest.py.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from contest import Contest, run
from torch import nn
from torchvision.models.video import mvit as torchvision_video
from video import classifier, clips, make_video_parser

from medvid.data.batch import Batch
from medvid.models.model import Model
from medvid.plugin.info import InputInfo
from medvid_mvit.config import MViTOptions
from medvid_mvit.model import MViT
from medvid_mvit.weights import translate


@dataclass(frozen=True)
class MViTContest(Contest):
    """A pair of networks and the size of their clips.

    Args:
        reference: whose network ours is compared with.
        options: of ours; the published ones are those of a variant.
        batch_size: clips per step.
        lr: learning rate.
        weight_decay: weight decay.
        frames: length of a clip.
        size: height and width.
        labels: number of classes.
    """

    reference: str
    options: dict[str, Any] = field(hash=False)
    batch_size: int = 1
    lr: float = 1e-4
    weight_decay: float = 0.05
    frames: int = 16
    size: int = 224
    labels: int = 400

    def published(self) -> nn.Module:
        torch.manual_seed(0)
        return pytorchvideo_mvit(self) if self.reference == "pytorchvideo" else torchvision_mvit(self)

    def ours(self) -> Model:
        info = InputInfo("video", 3, (self.frames, self.size, self.size))
        model = classifier(MViT(mvit_options(self), info), info, self.labels)
        model.load_state_dict(translate(self.published().state_dict(), self.reference, model).tensors)
        return model

    def batches(self) -> Iterator[Batch]:
        return clips(self.batch_size, (self.frames, self.size, self.size), self.labels)


def mvit_options(contest: MViTContest) -> MViTOptions:
    return MViTOptions.model_validate({"name": "mvit", "droppath_rate": 0.0} | contest.options)


def pytorchvideo_mvit(contest: MViTContest) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what pytorchvideo imports
        from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers
    options = mvit_options(contest)
    network: nn.Module = create_multiscale_vision_transformers(
        spatial_size=contest.size,
        temporal_size=contest.frames,
        depth=options.depth,
        patch_embed_dim=options.embed_dim,
        embed_dim_mul=list(map(list, options.dim_mul)),
        atten_head_mul=list(map(list, options.head_mul)),
        pool_q_stride_size=list(map(list, options.pool_q_stride)),
        pool_kv_stride_adaptive=list(options.pool_kv_stride_adaptive or ()),
        pool_kvq_kernel=options.pool_kvq_kernel,
        head_dropout_rate=0.0,
        head_num_classes=contest.labels,
    )
    return network


def torchvision_mvit(contest: MViTContest) -> nn.Module:
    """At published size that is `mvit_v2_s`."""
    blocks = [
        torchvision_video.MSBlockConfig(
            num_heads=block.num_heads,
            input_channels=block.input_channels,
            output_channels=block.output_channels,
            kernel_q=list(block.pool_q.kernel) if block.pool_q else [],
            stride_q=list(block.pool_q.stride) if block.pool_q else [],
            kernel_kv=list(block.pool_kv.kernel) if block.pool_kv else [],
            stride_kv=list(block.pool_kv.stride) if block.pool_kv else [],
        )
        for block in mvit_options(contest).blocks
    ]
    network: nn.Module = torchvision_video.MViT(
        (contest.size, contest.size),
        contest.frames,
        blocks,
        residual_pool=True,
        residual_with_cls_embed=False,
        rel_pos_embed=True,
        proj_after_attn=True,
        dropout=0.0,
        num_classes=contest.labels,
    )
    return network


CONTESTS = {
    "mvit_b_16x4": MViTContest("pytorchvideo", {"variant": "mvit_b_16x4", "pool_norm_eps": 1e-5}),
    "mvitv2_s": MViTContest("torchvision", {"variant": "mvitv2_s"}),
}
FEW_BLOCKS: dict[str, Any] = {"depth": 3, "embed_dim": 16, "dim_mul": ((1, 2.0),), "head_mul": ((1, 2.0),)}
QUICK_OPTIONS: dict[str, dict[str, Any]] = {
    "mvit_b_16x4": FEW_BLOCKS | {"pool_q_stride": ((1, 1, 2, 2),)},
    "mvitv2_s": FEW_BLOCKS | {"pool_q_stride": ((0, 1, 1, 1), (1, 1, 2, 2), (2, 1, 1, 1))},
}


def quick(name: str) -> MViTContest:
    contest = CONTESTS[name]
    options = contest.options | QUICK_OPTIONS[name]
    return replace(contest, options=options, batch_size=2, frames=4, size=64, labels=5)


def main() -> None:
    parser = make_video_parser(__doc__)
    parser.add_argument("--model", choices=CONTESTS, help="default: both, one after the other")
    arguments = parser.parse_args()
    for name in [arguments.model] if arguments.model else CONTESTS:
        run(quick(name) if arguments.quick else replace(CONTESTS[name], batch_size=arguments.batch_size), arguments)
        print()


if __name__ == "__main__":
    main()
