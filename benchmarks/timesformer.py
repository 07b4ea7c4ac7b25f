"""TimeSformer at its published size against transformers' TimesformerForVideoClassification as its users run it.

    python benchmarks/timesformer.py [--steps N] [--batch-size N] [--quick]

transformers' runs with its default attention, its own loss and the optimizer of its Trainer. What is measured, and how:
see contest.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from contest import run
from torch import nn
from transformers import TimesformerConfig, TimesformerForVideoClassification
from video import TransformersContest, classifier, clips, make_video_parser

from medvid.data.batch import Batch
from medvid.models.model import Model
from medvid.plugin.info import InputInfo
from medvid_timesformer.config import TimeSformerOptions
from medvid_timesformer.model import TimeSformer
from medvid_timesformer.weights import translate


@dataclass(frozen=True)
class TimeSformerContest(TransformersContest):
    """Size of the network and of its batches."""

    reference: str = "transformers"
    batch_size: int = 1
    lr: float = 5e-5
    weight_decay: float = 0.0
    num_frames: int = 8
    image_size: int = 224
    patch_size: int = 16
    labels: int = 400
    hidden_size: int = 768
    depth: int = 12
    num_heads: int = 12

    @property
    def size(self) -> tuple[int, int, int]:
        """Of a clip."""
        return self.num_frames, self.image_size, self.image_size

    def published(self) -> nn.Module:
        torch.manual_seed(0)
        config = TimesformerConfig(
            image_size=self.image_size,
            patch_size=self.patch_size,
            num_frames=self.num_frames,
            hidden_size=self.hidden_size,
            intermediate_size=4 * self.hidden_size,
            num_hidden_layers=self.depth,
            num_attention_heads=self.num_heads,
            num_labels=self.labels,
        )
        network: nn.Module = TimesformerForVideoClassification(config)
        return network

    def ours(self) -> Model:
        """Without drop path, which transformers does not have."""
        sizes: dict[str, Any] = {
            "img_size": self.image_size,
            "patch_size": self.patch_size,
            "num_frames": self.num_frames,
            "embed_dim": self.hidden_size,
            "depth": self.depth,
            "num_heads": self.num_heads,
        }
        info = InputInfo("video", 3, self.size)
        backbone = TimeSformer(TimeSformerOptions(name="timesformer", drop_path_rate=0.0, **sizes), info)
        model = classifier(backbone, info, self.labels)
        model.load_state_dict(translate(self.published().state_dict(), "huggingface", model).tensors)
        return model

    def batches(self) -> Iterator[Batch]:
        return clips(self.batch_size, self.size, self.labels)


QUICK = TimeSformerContest(
    batch_size=2, num_frames=4, image_size=32, patch_size=8, labels=4, hidden_size=48, depth=2, num_heads=4
)


def main() -> None:
    arguments = make_video_parser(__doc__).parse_args()
    run(QUICK if arguments.quick else TimeSformerContest(batch_size=arguments.batch_size), arguments)


if __name__ == "__main__":
    main()
