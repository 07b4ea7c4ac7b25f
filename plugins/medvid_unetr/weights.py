"""Published UNETR checkpoints: MONAI's keys, from 0.7 (which the authors' code used) to 1.6, under our names."""

import re
from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, infer_grid, place_head, resize_positions
from medvid_unetr.decoder import UnetrDecoder
from medvid_unetr.model import UNETR

POSITIONS = "backbone.patch_embedding.positions"
PROJECTION = "backbone.patch_embedding.projection.weight"
POINTWISE = (".shortcut.0.weight", "head.out.weight")

RENAMES: tuple[Rule, ...] = (
    (r"^vit\.patch_embedding\.position_embeddings$", POSITIONS),
    (r"^vit\.patch_embedding\.patch_embeddings\.(?:1\.)?(weight|bias)$", r"backbone.patch_embedding.projection.\1"),
    (r"^vit\.(blocks\.\d+\.attn)\.out_proj\.", r"backbone.\1.proj."),
    (r"^vit\.(blocks\.\d+\.mlp)\.linear([12])\.", r"backbone.\1.fc\2."),
    (r"^vit\.", r"backbone."),
    (r"^encoder1\.layer\.", r"head.input_block."),
    (r"^encoder(\d)\.transp_conv_init\.conv\.", lambda match: f"head.lifts.{int(match[1]) - 1}.steps.0.0."),
    (
        r"^encoder(\d)\.blocks\.(\d)\.(?:(0|1)\.)?",
        lambda match: f"head.lifts.{int(match[1]) - 1}.steps.{int(match[2]) + 1}.{match[3] or 0}.",
    ),
    (r"^decoder(\d)\.transp_conv\.conv\.", lambda match: f"head.ups.{int(match[1]) - 2}.upsample."),
    (r"^decoder(\d)\.conv_block\.", lambda match: f"head.ups.{int(match[1]) - 2}.block."),
    (r"^out\.conv\.conv\.", r"head.out."),
    (r"\.conv3\.conv\.", r".shortcut.0."),
    (r"\.norm3\.", r".shortcut.1."),
    (r"^(head\..*)\.conv\.", r"\1."),
)
"""From the published names to ours."""

NEVER_USED = {
    r"^vit\.patch_embedding\.cls_token$": "MONAI < 0.9 made a class token that UNETR never reads",
    r"^vit\.blocks\.\d+\.(norm_)?cross_attn\.": "MONAI >= 1.4 makes cross-attention layers that UNETR never runs",
}


def translate(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published state under our names; both sources use the same keys, see `medvid.models.weights`.

    Positions of another grid, cubic (in 2D, square) in the file, are interpolated linearly.

    Raises:
        CheckpointError: position embeddings of a grid that is neither the model's nor cubic.
    """
    assert isinstance(model.backbone, UNETR)
    result = Translation.renamed(published, RENAMES, NEVER_USED)
    _drop_idle_shortcuts(result)
    place_head(result, model, classifier="head.out", fits=isinstance(model.head, UnetrDecoder))
    fit(result, model)
    for name, tensor in result.tensors.items():
        if name == PROJECTION and tensor.ndim > 2:
            result.tensors[name] = tensor.movedim(1, -1).flatten(1)  # our patches have their channels fastest
        if name.endswith(POINTWISE):
            result.tensors[name] = tensor.flatten(1)  # a 1x1 convolution is a matrix here
    return result


def _drop_idle_shortcuts(result: Translation) -> None:
    """Drop the convolutions of shortcuts whose block has as many channels before as after it."""
    for name in [name for name in result.tensors if ".shortcut." in name]:
        kernel = result.tensors.get(re.sub(r"\.shortcut\..*", ".conv1.weight", name))
        if kernel is not None and kernel.shape[0] == kernel.shape[1]:
            result.drop(name, "MONAI < 0.9 made a shortcut convolution also where the identity is used")


def fit(result: Translation, model: Model) -> None:
    """Interpolate positions of another grid; raises as `translate`."""
    assert isinstance(model.backbone, UNETR)
    grid, table = model.backbone.patch_embedding.grid, result.tensors.get(POSITIONS)
    if table is not None:
        hint = "set backbone.img_size to the size that the published weights were trained with"
        old = infer_grid(table.shape[1], grid, hint)
        if old != grid:
            result.resize(POSITIONS, resize_positions(table, old, grid, "linear", align_corners=False))
