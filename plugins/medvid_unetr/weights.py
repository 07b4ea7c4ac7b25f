"""Published UNETR checkpoints: MONAI's keys, from 0.7 (which the authors' code used) to 1.6, under our names."""

import math
import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from medvid.errors import CheckpointError
from medvid.models.build import Model
from medvid.models.weights import Translation
from medvid_unetr.decoder import UnetrDecoder
from medvid_unetr.model import UNETR

POSITIONS = "backbone.patch_embedding.positions"
PROJECTION = "backbone.patch_embedding.projection.weight"
POINTWISE = (".shortcut.0.weight", "head.out.weight")

RENAMES = (
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
"""Applied one after the other; a key that none of them knows stays as it is, and is reported."""

NEVER_USED = {
    r"^vit\.patch_embedding\.cls_token$": "MONAI < 0.9 made a class token that UNETR never reads",
    r"^vit\.blocks\.\d+\.(norm_)?cross_attn\.": "MONAI >= 1.4 makes cross-attention layers that UNETR never runs",
}


def translate(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published state under our names; both sources use the same keys, see `medvid.models.weights`.

    Raises:
        CheckpointError: position embeddings of a grid that is neither the model's nor cubic.
    """
    assert isinstance(model.backbone, UNETR)
    grid = model.backbone.patch_embedding.grid
    state, result = model.state_dict(), Translation()
    for key, tensor in published.items():
        name = rename(key)
        reason = _why_unused(key, published) or _why_not_this_head(name, tensor, model.head)
        if reason:
            result.dropped[key] = reason
            if name in state:
                result.fresh[name] = reason
            continue
        if name == POSITIONS and tensor.shape[1] != math.prod(grid):
            result.resized[name] = tuple(tensor.shape)
        result.tensors[name if name in state else key] = _converted(name, tensor, grid)
    if not isinstance(model.head, UnetrDecoder):
        result.fresh |= {name: "the file has no weights for this head" for name in state if name.startswith("head.")}
    return result


def _converted(name: str, tensor: Tensor, grid: Sequence[int]) -> Tensor:
    if name == POSITIONS and tensor.shape[1] != math.prod(grid):
        return resize_positions(tensor, grid)
    if name == PROJECTION and tensor.ndim > 2:
        return tensor.movedim(1, -1).flatten(1)  # a patch has its channels fastest, a convolution's kernel slowest
    if name.endswith(POINTWISE):
        return tensor.flatten(1)  # a 1x1 convolution is a matrix here
    return tensor


def rename(key: str) -> str:
    """Our name of a published key."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return key


def resize_positions(positions: Tensor, grid: Sequence[int]) -> Tensor:
    """Interpolate the positions (1, N, D) of a cubic grid (in 2D, a square one) linearly to another grid of patches.

    Raises:
        CheckpointError: N is not the number of patches of such a grid.
    """
    count, rank = positions.shape[1], len(grid)
    edge = round(count ** (1 / rank))
    if edge**rank != count:
        raise CheckpointError(
            f"the file has position embeddings for {count} patches, the model for {' x '.join(map(str, grid))}; which "
            "grid the former are on cannot be told from their number",
            hint="set backbone.img_size to the size that the published weights were trained with",
        )
    table = positions.transpose(1, 2).reshape(1, -1, *[edge] * rank)  # 1, D, *edges
    table = functional.interpolate(table, list(grid), mode={2: "bilinear", 3: "trilinear"}[rank], align_corners=False)
    return table.flatten(2).transpose(1, 2)


def _why_unused(key: str, published: Mapping[str, Tensor]) -> str | None:
    """Why the published network never uses a tensor of its own state, if so."""
    for pattern, reason in NEVER_USED.items():
        if re.search(pattern, key):
            return reason
    block, shortcut, _ = key.partition(".conv3.") if ".conv3." in key else key.partition(".norm3.")
    if shortcut:
        first = published.get(f"{block}.conv1.conv.weight")
        if first is not None and first.shape[0] == first.shape[1]:
            return "MONAI < 0.9 made a shortcut convolution also where the identity is used"
    return None


def _why_not_this_head(name: str, tensor: Tensor, head: nn.Module) -> str | None:
    """Why a tensor of the published decoder does not go into the model's head, if so."""
    if not name.startswith("head."):
        return None
    if not isinstance(head, UnetrDecoder):
        return "the model has another head"
    if name.startswith("head.out.") and len(tensor) != head.num_labels:
        return f"the file tells {len(tensor)} labels apart, the model {head.num_labels}"
    return None
