"""Published weights of ViT (timm's and Google's), STAM and VTN under our names."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from medvid.errors import CheckpointError
from medvid.models.build import Model
from medvid.models.weights import Translation, place_classifier
from medvid_frames.stam import STAM
from medvid_frames.vit import ViT
from medvid_frames.vtn import VTN

Rule = tuple[str, str]

GOOGLE_NAMES: tuple[Rule, ...] = (
    (r"/(kernel|scale)$", ".weight"),
    (r"/bias$", ".bias"),
    (r"^cls$", "cls_token"),
    (r"^Transformer/posembed_input/pos_embedding$", "pos_embed"),
    (r"^embedding\.", "patch_embed.proj."),
    (r"^Transformer/encoder_norm\.", "norm."),
    (r"^Transformer/encoderblock_(\d+)/", r"blocks.\1."),
    (r"\.MultiHeadDotProductAttention_1/out\.", ".attn.proj."),
    (r"\.MultiHeadDotProductAttention_1/", ".attn."),
    (r"\.LayerNorm_0\.", ".norm1."),
    (r"\.LayerNorm_2\.", ".norm2."),
    (r"\.MlpBlock_3/Dense_0\.", ".mlp.fc1."),
    (r"\.MlpBlock_3/Dense_1\.", ".mlp.fc2."),
)
"""From the names in Google's npz files to timm's, which are ours, applied one after the other."""

STAM_NAMES: tuple[Rule, ...] = (
    (r"^aggregate\.transformer_enc\.", "backbone.temporal."),
    (r"^aggregate\.", "backbone.temporal."),
    (r"^(?!backbone\.)", "backbone.frame."),
)
"""From the names of STAM's authors to ours."""

VTN_NAMES: tuple[Rule, ...] = (
    (r"^backbone\.", "backbone.frame."),
    (r"^cls_token$", "backbone.temporal.cls_token"),
    (r"^temporal_encoder\.embeddings\.position_embeddings\.", "backbone.temporal.positions."),
    (r"^temporal_encoder\.embeddings\.token_type_embeddings\.", "backbone.temporal.token_types."),
    (r"^temporal_encoder\.embeddings\.LayerNorm\.", "backbone.temporal.norm."),
    (r"^temporal_encoder\.encoder\.layer\.", "backbone.temporal.layers."),
    (r"\.attention\.self\.query_global\.", ".attn.q_global."),
    (r"\.attention\.self\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.output\.LayerNorm\.", ".norm1."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.output\.LayerNorm\.", ".norm2."),
)
"""From the names of VTN's authors, in part transformers', to ours."""

UNUSED = {
    r"^pre_logits[./]": "it is of the classes that the ViT was pre-trained on",
    r"^head/": "it is of the classes that the ViT was pre-trained on",
    r"^temporal_encoder\.embeddings\.position_ids$": "older transformers kept the row numbers of the position table",
}
"""Tensors of published files that have no counterpart here, and why."""


def translate_vit(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published ViT under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``timm``, with its classifier if the head has as many classes, or ``google_npz`` without.
        model: where it goes.

    Raises:
        CheckpointError: position embeddings of a grid that is neither the model's nor square.
    """
    assert isinstance(model.backbone, ViT)
    result, state = _start(published, ("head.weight", "head.bias"))
    if source == "google_npz":
        state = from_google(state)
    result.tensors |= {f"backbone.{key}": tensor for key, tensor in state.items()}
    _fit_grid(result, "backbone.pos_embed", model.backbone)
    place_classifier(result, published, "head.weight", "head.bias", model)
    return result


def translate_stam(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published STAM under our names, see `medvid.models.weights`.

    The positions of another number of frames are interpolated in time.

    Raises:
        CheckpointError: the frames' backbone is no ViT, or its positions are of a grid that is neither its nor square.
    """
    assert isinstance(model.backbone, STAM)
    result, state = _start(published, ("head.weight", "head.bias"))
    result.tensors |= {_rename(key, STAM_NAMES): tensor for key, tensor in state.items()}
    _fit_grid(result, "backbone.frame.pos_embed", _frame(model.backbone))
    _fit_frames(result, "backbone.temporal.pos_embed", model.backbone.num_frames)
    place_classifier(result, published, "head.weight", "head.bias", model)
    return result


def translate_vtn(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published VTN under our names, see `medvid.models.weights`.

    Raises:
        CheckpointError: the frames' backbone is no ViT, or its positions are of a grid that is neither its nor square.
    """
    assert isinstance(model.backbone, VTN)
    result, state = _start(published, [key for key in published if key.startswith("mlp_head.")])
    result.tensors |= from_vtn(state)
    _fit_grid(result, "backbone.frame.pos_embed", _frame(model.backbone))
    _place_mlp_head(result, published, model)
    return result


def from_vtn(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state of VTN's authors, without the head, under our names."""
    state = {_rename(key, VTN_NAMES): tensor for key, tensor in state.items()}
    state = fuse(state, ("query", "key", "value"), "qkv")
    return fuse(state, ("key_global", "value_global"), "kv_global")


def from_google(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The content of one of Google's npz files under timm's names and with the axes of torch."""
    state = {_rename(key, GOOGLE_NAMES): _axes_of_torch(key, array) for key, array in arrays.items()}
    return fuse(state, ("query", "key", "value"), "qkv")


def fuse(state: Mapping[str, Tensor], parts: Sequence[str], fused: str) -> dict[str, Tensor]:
    """Concatenate what belongs to one layer here: ``x.part.weight`` of all parts to ``x.fused.weight``.

    Layers of which a part is missing stay as they are, and the import complains of them by name.
    """
    joined = dict(state)
    for key in state:
        names = [key.replace(f".{parts[0]}.", f".{part}.") for part in parts]
        if f".{parts[0]}." in key and all(name in joined for name in names):
            joined[key.replace(f".{parts[0]}.", f".{fused}.")] = torch.cat([joined.pop(name) for name in names])
    return joined


def resize_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Interpolate positions (1, 1 + N, D) of a square grid to another one as timm does: bicubic, antialiased.

    The class token's, the first, stays.

    Raises:
        CheckpointError: N is not the number of patches of a square grid.
    """
    count = table.shape[1] - 1
    edge = math.isqrt(count)
    if edge**2 != count:
        raise CheckpointError(
            f"the file has position embeddings for {count} patches, the model for {grid[0]} x {grid[1]}; which grid "
            "the former are on cannot be told from their number",
            hint="set img_size of the ViT to the size that the published weights were trained with",
        )
    patches = table[:, 1:].transpose(1, 2).reshape(1, -1, edge, edge)
    patches = functional.interpolate(patches, list(grid), mode="bicubic", antialias=True)
    return torch.cat([table[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)


def _start(published: Mapping[str, Tensor], head: Iterable[str]) -> tuple[Translation, dict[str, Tensor]]:
    """A translation that drops what is never used; and what is left of the file besides its head."""
    result, state = Translation(), dict(published)
    for key in head:
        state.pop(key, None)
    for key in published:
        reasons = [reason for pattern, reason in UNUSED.items() if re.search(pattern, key)]
        if reasons and state.pop(key, None) is not None:
            result.dropped[key] = reasons[0]
    return result, state


def _frame(backbone: STAM | VTN) -> ViT:
    if not isinstance(backbone.frame, ViT):
        raise CheckpointError(
            f"the published {type(backbone).__name__} runs a ViT on each frame, the model a "
            f"{type(backbone.frame).__name__}",
            hint="name vit in backbone.frame, or leave out backbone.weights; frame.weights can start the frames' part",
        )
    return backbone.frame


def _fit_grid(result: Translation, name: str, vit: ViT) -> None:
    """Resize the positions of the patches where the model has another grid, be it of as many patches."""
    table = result.tensors.get(name)
    if table is None:
        return
    (rows, columns), count = vit.grid, table.shape[1] - 1
    was_square = math.isqrt(count) ** 2 == count
    if count != rows * columns or (was_square and rows != columns):
        result.resized[name] = tuple(table.shape)
        result.tensors[name] = resize_positions(table, vit.grid)


def _fit_frames(result: Translation, name: str, frames: int) -> None:
    """Resize the positions (1, 1 + T, D) of the frames linearly where the model takes another number of them."""
    table = result.tensors.get(name)
    if table is not None and table.shape[1] != 1 + frames:
        result.resized[name] = tuple(table.shape)
        resized = functional.interpolate(table[:, 1:].transpose(1, 2), frames, mode="linear").transpose(1, 2)
        result.tensors[name] = torch.cat([table[:, :1], resized], dim=1)


def _place_mlp_head(result: Translation, published: Mapping[str, Tensor], model: Model) -> None:
    """Bring VTN's head into the classification head, if that has a hidden layer of the same width."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items() if name.startswith("head.")}
    hidden = {
        f"mlp_head.{index}.{kind}": f"head.hidden.{index}.{kind}" for index in (0, 1) for kind in ("weight", "bias")
    }
    given = {ours: published[theirs] for theirs, ours in hidden.items() if theirs in published}
    if all(shapes.get(ours) == tensor.shape for ours, tensor in given.items()):
        result.tensors |= given
        place_classifier(result, published, "mlp_head.4.weight", "mlp_head.4.bias", model)
    else:
        width = len(given["head.hidden.1.bias"])
        reason = f"the model's head has no hidden layer of its width (head.hidden_dim: {width})"
        result.dropped |= {key: reason for key in published if key.startswith("mlp_head.")}
        result.fresh |= dict.fromkeys(shapes, reason)


def _rename(key: str, rules: Sequence[Rule]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _axes_of_torch(key: str, array: Tensor) -> Tensor:
    """Google's kernels have their outputs last, and attention heads on an axis of their own, as biases have them."""
    if key == "cls" or key.endswith("/pos_embedding"):
        return array
    if not key.endswith("/kernel"):
        return array.flatten()
    if array.ndim == 4:
        return array.permute(3, 2, 0, 1)  # H, W, in, out
    return (array.flatten(0, -2) if key.endswith("/out/kernel") else array.flatten(1)).t()
