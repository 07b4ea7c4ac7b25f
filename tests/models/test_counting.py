"""Multiply-adds against formulas: attention counts, however it is computed."""

import torch
from torch import Tensor, nn

from medvid.config.matrix import matrix
from medvid.models.backbone import Backbone
from medvid.models.build import build_model
from medvid.models.counting import count_model
from medvid.models.features import FeatureInfo, Features
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.testing.cells import cell_task

HOST = make_host()
CELLS = {(cell.backbone.name, cell.head.name, cell.axes): cell for cell in matrix(HOST) if cell.what == "class"}
CHECKED = cell_task(HOST, CELLS["vit", "classification", "image"])
INFO = CHECKED.input_info


def of_layers(depth: int, tokens: int, width: int, hidden: int) -> int:
    """Of transformer layers: four projections, an MLP, and attention's two products."""
    return depth * tokens * (4 * width * width + 2 * width * hidden + 2 * tokens * width)


class Attends(Backbone):
    """torch's own encoder layer, which has a fused kernel of its own in inference."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(INFO.channels, 1, 64, batch_first=True)
        self.feature_info = FeatureInfo((), INFO.channels)

    def forward(self, input: Tensor) -> Features:
        return Features((), self.layer(input.flatten(2).transpose(1, 2)).mean(dim=1))


def test_a_vit_counts_as_its_formula_says() -> None:
    model = build_model(CHECKED)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    counted, options = count_model(model, INFO), CHECKED.task.backbone.model_dump()
    width, patch = options["embed_dim"], options["patch_size"]
    patches = INFO.size[0] // patch * (INFO.size[1] // patch)
    layers = of_layers(options["depth"], patches + 1, width, round(options["mlp_ratio"] * width))
    assert counted.backbone.multiply_adds == patches * width * INFO.channels * patch**2 + layers
    assert counted.whole.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_layers_that_torch_would_fuse_count_too() -> None:
    fast = torch.backends.mha.get_fastpath_enabled()
    counted = count_backbone(Attends())
    assert counted == of_layers(1, INFO.size[0] * INFO.size[1], INFO.channels, 64)
    assert torch.backends.mha.get_fastpath_enabled() == fast


def count_backbone(backbone: Backbone) -> int:
    class Nothing(nn.Module):
        def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
            return features.embedding

    return count_model(Model(backbone, Nothing()), INFO).backbone.multiply_adds
