"""Published TransUNet weights under our names, and ours under the published ones."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.errors import CheckpointError
from medvid.models.build import Model
from medvid.models.weights import Translation
from medvid_transunet.decoder import CascadedUpsampler
from medvid_transunet.model import TransUNet

Rule = tuple[str, str | Callable[[re.Match[str]], str]]

POSITIONS = "transformer.embeddings.position_embeddings"

PUBLISHED_NAMES: tuple[Rule, ...] = (
    (r"^backbone\.resnet\.stem\.0\.", "transformer.embeddings.hybrid_model.root.conv."),
    (r"^backbone\.resnet\.stem\.1\.", "transformer.embeddings.hybrid_model.root.gn."),
    (
        r"^backbone\.resnet\.stages\.(\d+)\.(\d+)\.",
        lambda match: f"transformer.embeddings.hybrid_model.body.block{int(match[1]) + 1}.unit{int(match[2]) + 1}.",
    ),
    (r"\.shortcut\.0\.", ".downsample."),
    (r"\.shortcut\.1\.", ".gn_proj."),
    (r"^(.*hybrid_model.*)\.norm(\d)\.", r"\1.gn\2."),
    (r"^backbone\.patch_embedding\.positions$", POSITIONS),
    (r"^backbone\.patch_embedding\.projection\.", "transformer.embeddings.patch_embeddings."),
    (r"^backbone\.blocks\.", "transformer.encoder.layer."),
    (r"^(.*\.layer\.\d+)\.norm1\.", r"\1.attention_norm."),
    (r"^(.*\.layer\.\d+)\.norm2\.", r"\1.ffn_norm."),
    (r"^(.*\.layer\.\d+)\.mlp\.", r"\1.ffn."),
    (r"^(.*\.layer\.\d+\.attn)\.proj\.", r"\1.out."),
    (r"^backbone\.norm\.", "transformer.encoder.encoder_norm."),
    (r"^head\.segmentation\.", "segmentation_head.0."),
    (r"^head\.", "decoder."),
)
"""From our names to the published ones, applied one after the other."""

GOOGLE_NAMES: tuple[Rule, ...] = (
    (r"/(kernel|scale)$", ".weight"),
    (r"/bias$", ".bias"),
    (r"^Transformer/posembed_input/pos_embedding$", POSITIONS),
    (r"^embedding\.", "transformer.embeddings.patch_embeddings."),
    (r"^Transformer/encoder_norm\.", "transformer.encoder.encoder_norm."),
    (r"^Transformer/encoderblock_(\d+)/", r"transformer.encoder.layer.\1."),
    (r"\.MultiHeadDotProductAttention_1/(\w+)\.", r".attn.\1."),
    (r"\.LayerNorm_0\.", ".attention_norm."),
    (r"\.LayerNorm_2\.", ".ffn_norm."),
    (r"\.MlpBlock_3/Dense_0\.", ".ffn.fc1."),
    (r"\.MlpBlock_3/Dense_1\.", ".ffn.fc2."),
    (r"^conv_root\.", "transformer.embeddings.hybrid_model.root.conv."),
    (r"^gn_root\.", "transformer.embeddings.hybrid_model.root.gn."),
    (r"^(block\d+)/(unit\d+)/(\w+)\.", r"transformer.embeddings.hybrid_model.body.\1.\2.\3."),
    (r"\.conv_proj\.", ".downsample."),
)
"""From the names in Google's npz files to those of the TransUNet authors, applied one after the other."""

CLASSIFIER = r"^(head|pre_logits)/|^cls$"
"""What belongs to ImageNet's classes in Google's npz files."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring published weights under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``google_npz`` (backbone only) or ``transunet`` (the authors' names, backbone and decoder).
        model: where they go.

    Raises:
        CheckpointError: position embeddings of a grid that is neither the model's nor square.
    """
    assert isinstance(model.backbone, TransUNet)
    result = Translation()
    if source == "google_npz":
        result.dropped = {key: "it is of ImageNet's classes" for key in published if re.search(CLASSIFIER, key)}
        published = from_google({key: published[key] for key in published if key not in result.dropped})
    unfit = {key: why for key, tensor in published.items() if (why := _why_not_this_head(key, tensor, model.head))}
    result.dropped |= unfit
    left = {key: tensor for key, tensor in published.items() if key not in unfit}
    grid = model.backbone.patch_embedding.grid
    if POSITIONS in left and left[POSITIONS].shape[1] != math.prod(grid):
        result.resized["backbone.patch_embedding.positions"] = tuple(left[POSITIONS].shape)
        left[POSITIONS] = resize_positions(left[POSITIONS], grid)
    has_head = any(key.startswith("decoder.") for key in left)
    for name in model.state_dict():
        keys = published_names(name)
        if name.startswith("head.") and not has_head:
            result.fresh[name] = "the file has no weights for this head"
        elif keys[0] in unfit:
            result.fresh[name] = unfit[keys[0]]
        elif all(key in left for key in keys):
            parts = [left.pop(key) for key in keys]
            result.tensors[name] = torch.cat(parts) if len(parts) > 1 else parts[0]
    result.tensors |= left  # the import complains of them by name
    return result


def to_published(model: Model) -> dict[str, Tensor]:
    """The state of a TransUNet with its own head under the names of the authors' code, which can load it."""
    published: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        keys = published_names(name)
        published |= zip(keys, tensor.chunk(len(keys)) if len(keys) > 1 else [tensor], strict=True)
    return published


def published_names(name: str) -> list[str]:
    """The published names of one of our tensors: one, or those of its three thirds."""
    name = _rename(name, PUBLISHED_NAMES)
    if ".qkv." not in name:
        return [name]
    return [name.replace(".qkv.", f".{part}.") for part in ("query", "key", "value")]


def from_google(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The content of one of Google's npz files under the names and with the axes of the TransUNet authors."""
    return {_rename(key, GOOGLE_NAMES): _axes_of_torch(key, array) for key, array in arrays.items()}


def resize_positions(positions: Tensor, grid: Sequence[int]) -> Tensor:
    """Interpolate the positions (1, N, D) of a square grid linearly to another grid, corners on corners.

    The authors' `scipy.ndimage.zoom` gives the same, but for sizes at which its rounding sets the last row to zero.
    A class token, which stands first, is left out.

    Raises:
        CheckpointError: N is not the number of patches of a square grid, with or without a class token.
    """
    count = positions.shape[1]
    edge = math.isqrt(count)
    if edge**2 not in (count, count - 1):
        raise CheckpointError(
            f"the file has position embeddings for {count} patches, the model for {' x '.join(map(str, grid))}; which "
            "grid the former are on cannot be told from their number",
            hint="set backbone.img_size to the size that the published weights were trained with",
        )
    table = positions[:, -(edge**2) :].transpose(1, 2).reshape(1, -1, edge, edge)
    table = functional.interpolate(table, list(grid), mode="bilinear", align_corners=True)
    return table.flatten(2).transpose(1, 2)


def _rename(name: str, rules: Sequence[Rule]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _axes_of_torch(key: str, array: Tensor) -> Tensor:
    """Google's kernels have their outputs last and attention heads on an axis of their own; vectors have empty axes."""
    if not key.endswith("/kernel"):
        return array if key.endswith("/pos_embedding") else array.flatten()
    if array.ndim == 4:
        return array.permute(3, 2, 0, 1)  # H, W, in, out
    return (array.flatten(0, -2) if key.endswith("/out/kernel") else array.flatten(1)).t()


def _why_not_this_head(key: str, tensor: Tensor, head: nn.Module) -> str | None:
    """Why a tensor of the published decoder does not go into the model's head, if so."""
    if not key.startswith(("decoder.", "segmentation_head.")):
        return None
    if not isinstance(head, CascadedUpsampler):
        return "the model has another head"
    if key.startswith("segmentation_head.") and len(tensor) != head.num_labels:
        return f"the file tells {len(tensor)} labels apart, the model {head.num_labels}"
    return None
