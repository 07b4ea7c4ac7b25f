"""Published MViT checkpoints of pytorchvideo, torchvision and PySlowFast under our names."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, infer_grid, place_head, resize_positions
from medvid_mvit.attention import resize_table
from medvid_mvit.geometry import Grid
from medvid_mvit.model import MViT

EMBEDDING = "backbone.patch_embedding."
BLOCK = "backbone.blocks."

TABLES = {
    "cls_token": "class_token",
    "pos_embed": "positions",
    "pos_embed_spatial": "spatial_positions",
    "pos_embed_temporal": "temporal_positions",
    "pos_embed_class": "class_position",
}
"""pytorchvideo's and PySlowFast's names of what is added to the tokens, and ours."""

COMMON: tuple[Rule, ...] = (
    (r"^blocks\.(\d+)\.attn\.(pool_[qkv])\.(weight)$", rf"{BLOCK}\1.attn.\2.conv.\3"),
    (r"^blocks\.(\d+)\.attn\.norm_([qkv])\.", rf"{BLOCK}\1.attn.pool_\2.norm."),
    (r"^blocks\.(\d+)\.attn\.rel_pos_([hwt])$", rf"{BLOCK}\1.attn.positions.\2.table"),
    (r"^blocks\.", BLOCK),
)
RENAMES: dict[str, tuple[Rule, ...]] = {
    "pytorchvideo": (
        (r"^head\.proj\.", "head.classifier."),
        (r"^patch_embed\.patch_model\.", f"{EMBEDDING}projection."),
        (r"^cls_positional_encoding\.(\w+)$", lambda match: EMBEDDING + TABLES.get(match[1], match[1])),
        (r"^norm_patch_embed\.", f"{EMBEDDING}norm."),
        (r"^norm_embed\.", "backbone.norm."),
        *COMMON,
    ),
    "slowfast": (
        (r"^head\.projection\.", "head.classifier."),
        (r"^patch_embed\.proj\.", f"{EMBEDDING}projection."),
        (r"^(cls_token|pos_embed\w*)$", lambda match: EMBEDDING + TABLES.get(match[1], match[1])),
        (r"^norm_stem\.", f"{EMBEDDING}norm."),
        (r"^norm\.", "backbone.norm."),
        *COMMON,
    ),
    "torchvision": (
        (r"^head\.1\.", "head.classifier."),
        (r"^conv_proj\.", f"{EMBEDDING}projection."),
        (r"^pos_encoding\.class_token$", f"{EMBEDDING}class_token"),
        (r"^pos_encoding\.class_pos$", f"{EMBEDDING}class_position"),
        (r"^pos_encoding\.(spatial|temporal)_pos$", rf"{EMBEDDING}\1_positions"),
        (r"^norm\.", "backbone.norm."),
        (r"^blocks\.(\d+)\.attn\.(pool_[qkv])\.pool\.", rf"{BLOCK}\1.attn.\2.conv."),
        (r"^blocks\.(\d+)\.attn\.(pool_[qkv])\.norm_act\.0\.", rf"{BLOCK}\1.attn.\2.norm."),
        (r"^blocks\.(\d+)\.attn\.project\.0\.", rf"{BLOCK}\1.attn.proj."),
        (r"^blocks\.(\d+)\.mlp\.0\.", rf"{BLOCK}\1.mlp.fc1."),
        (r"^blocks\.(\d+)\.mlp\.3\.", rf"{BLOCK}\1.mlp.fc2."),
        (r"^blocks\.(\d+)\.project\.", rf"{BLOCK}\1.proj."),
        *COMMON,
    ),
}
"""From the names of each source to ours."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`.

    What is for another size is fitted as PySlowFast does: positions in space are interpolated bicubically, those in
    time and relative ones linearly, and kernels of a model of images are repeated in time.

    Raises:
        CheckpointError: positions of a frame that is neither square nor the model's, or blocks that pool otherwise.
    """
    assert isinstance(model.backbone, MViT)
    result, state = Translation.renamed(published, RENAMES[source]), model.state_dict()
    result.fuse(("q", "k", "v"))
    fit(result, model)
    if f"{EMBEDDING}projection.weight" in result.resized:
        times = [name for name in state if name.endswith(".positions.t.table")]
        result.fresh |= dict.fromkeys(times, "the file, of a model of images, has no relative positions in time")
    place_head(result, model)
    return result


def fit(result: Translation, model: Model) -> None:
    """Fit what is for another size; raises as `translate`."""
    assert isinstance(model.backbone, MViT)
    state = model.state_dict()
    _check_pooling(result.tensors, state)
    for name, tensor in list(result.tensors.items()):
        fitted = _fitted(name, tensor, state, model.backbone.patch_embedding.table_grid)
        if fitted.numel() != tensor.numel():
            result.resize(name, fitted)
        result.tensors[name] = fitted


def _check_pooling(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    theirs, ours = _kernels(tensors), _kernels(state)
    blocks = sorted({int(name.split(".")[2]) for name in theirs.keys() | ours if theirs.get(name) != ours.get(name)})
    if blocks:
        raise CheckpointError(
            f"the file pools queries, keys or values of blocks {', '.join(map(str, blocks))} unlike the model",
            hint="set pool_q_stride, pool_kv_stride and pool_kvq_kernel to those of the file. Where its last blocks do "
            "not pool keys and values, as in PySlowFast's old K400_MVIT_B_16x4_CONV, list the others in pool_kv_stride "
            "and set pool_kv_stride_adaptive to null",
        )


def _kernels(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Height and width of each pooling convolution's kernel, by name."""
    return {name: tensor.shape[-2:] for name, tensor in tensors.items() if re.search(r"\.pool_[qkv]\.conv\.", name)}


def _fitted(name: str, tensor: Tensor, state: Mapping[str, Tensor], grid: Grid) -> Tensor:
    """The tensor in the model's shape, where there is a way; otherwise as it is, to be reported."""
    kind = name.rpartition(".")[2]
    if name not in state or tensor.shape == state[name].shape:
        return tensor
    if kind in TABLES.values():
        tensor = tensor.reshape(1, -1, tensor.shape[-1])  # torchvision's are flat
    if kind == "temporal_positions":
        return resize_positions(tensor, tensor.shape[1:2], grid[:1], "linear")
    if kind == "spatial_positions":
        hint = "make the data set's clips as large as those that the published weights were trained with"
        return resize_positions(tensor, infer_grid(tensor.shape[1], grid[1:], hint), grid[1:], "bicubic")
    if kind == "table":
        return resize_table(tensor, len(state[name]))
    if kind == "weight" and state[name].ndim == 5:
        kernel = tensor.unsqueeze(2) if tensor.ndim == 4 else tensor
        if kernel.shape[2] == 1:
            return kernel.expand(-1, -1, state[name].shape[2], -1, -1)
    return tensor
