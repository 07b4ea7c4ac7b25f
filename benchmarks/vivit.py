"""ViViT-B/16x2 at its published size against transformers' VivitForVideoClassification as its users run it.

    python benchmarks/vivit.py [--batch-size N] [--steps N] [--quick]

transformers' runs with the attention that it chooses itself and its own loss. What is measured, and how: see
contest.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from contest import run
from torch import nn
from transformers import VivitConfig, VivitForVideoClassification
from video import TransformersContest, classifier, clips, make_video_parser

from medvid.data.batch import Batch
from medvid.models.model import Model
from medvid.plugin.info import InputInfo
from medvid_vivit.config import ViViTOptions
from medvid_vivit.model import ViViT
from medvid_vivit.weights import translate


@dataclass(frozen=True)
class ViViTContest(TransformersContest):
    """Size of the network and of its clips; both have the published tubelets."""

    reference: str = "transformers"
    batch_size: int = 1
    lr: float = 1e-4
    weight_decay: float = 1e-5
    frames: int = 32
    size: int = 224
    labels: int = 400
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072

    def published(self) -> nn.Module:
        """Its positions would start at zero."""
        torch.manual_seed(0)
        config = VivitConfig(
            image_size=self.size,
            num_frames=self.frames,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_layers,
            num_attention_heads=self.num_heads,
            intermediate_size=self.mlp_dim,
            num_labels=self.labels,
        )
        network: nn.Module = VivitForVideoClassification(config)
        nn.init.trunc_normal_(network.get_parameter("vivit.embeddings.position_embeddings"), std=0.02)
        return network

    def ours(self) -> Model:
        sizes: dict[str, Any] = {
            "num_frames": self.frames,
            "image_size": (self.size, self.size),
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
        }
        options = ViViTOptions(name="vivit", **sizes)
        info = InputInfo("video", 3, options.input_size)
        model = classifier(ViViT(options, info), info, self.labels)
        model.load_state_dict(translate(self.published().state_dict(), "huggingface", model).tensors)
        return model

    def batches(self) -> Iterator[Batch]:
        return clips(self.batch_size, (self.frames, self.size, self.size), self.labels)


QUICK = ViViTContest(batch_size=2, frames=4, size=32, labels=5, hidden_size=48, num_layers=2, num_heads=4, mlp_dim=96)


def main() -> None:
    arguments = make_video_parser(__doc__).parse_args()
    run(QUICK if arguments.quick else ViViTContest(batch_size=arguments.batch_size), arguments)


if __name__ == "__main__":
    main()
