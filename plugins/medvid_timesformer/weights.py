"""Published TimeSformer checkpoints, and ViTs of images to start one from, under our names."""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from medvid.models.build import Model
from medvid.models.weights import Translation, place_classifier
from medvid_timesformer.model import TimeSformer

EMBEDDING = "backbone.embedding"
POSITIONS, TIMES = f"{EMBEDDING}.pos_embed", f"{EMBEDDING}.time_embed"
PROJECTION = f"{EMBEDDING}.projection.weight"

AUTHORS = (
    (r"^model\.", ""),
    (r"^(cls_token|pos_embed|time_embed)$", rf"{EMBEDDING}.\1"),
    (r"^patch_embed\.proj\.", rf"{EMBEDDING}.projection."),
    (r"^(blocks|norm)\.", r"backbone.\1."),
)
"""The authors' names, which are timm's with attention over time added."""

TRANSFORMERS = (
    (r"^timesformer\.", ""),
    (r"^embeddings\.cls_token$", f"{EMBEDDING}.cls_token"),
    (r"^embeddings\.position_embeddings$", POSITIONS),
    (r"^embeddings\.time_embeddings$", TIMES),
    (r"^embeddings\.patch_embeddings\.", f"{EMBEDDING}."),
    (r"^encoder\.layer\.", "backbone.blocks."),
    (r"^layernorm\.", "backbone.norm."),
    (r"\.(temporal_)?attention\.attention\.qkv\.", r".\1attn.qkv."),
    (r"\.(temporal_)?attention\.output\.dense\.", r".\1attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.temporal_layernorm\.", ".temporal_norm1."),
    (r"\.temporal_dense\.", ".temporal_fc."),
)

RENAMES = {"facebook": AUTHORS, "huggingface": TRANSFORMERS, "vit": AUTHORS}
"""By source; applied one after the other. A key that none of them knows stays as it is, and is reported."""
CLASSIFIER = {"facebook": "head", "huggingface": "classifier", "vit": "head"}

LEFT_TO_ITSELF = {
    TIMES: "images have no time",
    ".temporal_fc.": "attention over time starts by adding nothing",
}
"""Why a parameter of a TimeSformer that starts from a ViT of images keeps its initialisation, by a part of its name."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`; tables and channels are made to fit."""
    backbone = model.backbone
    assert isinstance(backbone, TimeSformer)
    state, result = model.state_dict(), Translation()
    prefix = "model." if "model.cls_token" in published else ""
    classifier = prefix + CLASSIFIER[source]
    for key, tensor in published.items():
        if key.startswith(f"{classifier}."):
            continue
        if source == "vit" and key.removeprefix(prefix).startswith("pre_logits."):
            result.dropped[key] = "the layer between class token and classifier is not taken over by TimeSformer"
            continue
        name = rename(key, source)
        result.tensors[name if name in state else key] = tensor
    if source == "vit":
        _inflate(result, state)
    _fit(result, backbone)
    place_classifier(result, published, f"{classifier}.weight", f"{classifier}.bias", model)
    return result


def rename(key: str, source: str) -> str:
    """Our name of a published key."""
    for pattern, replacement in RENAMES[source]:
        key = re.sub(pattern, replacement, key)
    return key


def _inflate(result: Translation, state: Mapping[str, Tensor]) -> None:
    """Start attention over time from that within images, where the file has none."""
    for name in [name for name in state if name.startswith("backbone.") and name not in result.tensors]:
        spatial = re.sub(r"\.temporal_(attn|norm1)\.", r".\1.", name)
        reasons = [reason for part, reason in LEFT_TO_ITSELF.items() if part in name]
        if spatial in result.tensors:
            result.tensors[name] = result.tensors[spatial]
        elif reasons:
            result.fresh[name] = reasons[0]


def _fit(result: Translation, backbone: TimeSformer) -> None:
    """Make the tables as long as the model's, and the patch projection a matrix over as many channels as its input."""
    tensors, embedding = result.tensors, backbone.embedding
    wanted = {POSITIONS: embedding.pos_embed.shape[1]}
    if embedding.time_embed is not None:
        wanted[TIMES] = embedding.time_embed.shape[1]
    for name, length in wanted.items():
        table = tensors.get(name)
        if table is not None and table.shape[1] != length:
            result.resized[name] = tuple(table.shape)
            tensors[name] = resize_table(table, length, fixed=int(name == POSITIONS))
    kernel = tensors.get(PROJECTION)
    if kernel is not None and kernel.ndim == 4:
        channels = embedding.projection.in_features // math.prod(embedding.patch)
        if kernel.shape[1] != channels:
            result.resized[PROJECTION] = tuple(kernel.shape)
        tensors[PROJECTION] = with_channels(kernel, channels).movedim(1, -1).flatten(1)  # here channels are fastest


def resize_table(table: Tensor, length: int, fixed: int = 0) -> Tensor:
    """Bring a table (1, L, D) to another length by nearest neighbours, but for the first `fixed` rows.

    So the authors' code does on loading, also with positions, of which the grid's rows are one after the other.
    """
    rows = table[:, fixed:].transpose(1, 2)  # 1, D, L
    rows = functional.interpolate(rows, length - fixed, mode="nearest").transpose(1, 2)
    return torch.cat([table[:, :fixed], rows], dim=1)


def with_channels(kernel: Tensor, channels: int) -> Tensor:
    """Bring a kernel (D, C, h, w) to another number of channels, as the authors' code does.

    One channel stands for the sum of all; more are repeated, and scaled so that the response keeps its size.
    """
    published = kernel.shape[1]
    if channels == published:
        return kernel
    if channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    copies = math.ceil(channels / published)
    return kernel.repeat(1, copies, 1, 1)[:, :channels] * (published / channels)
