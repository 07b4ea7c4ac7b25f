"""Published TimeSformer checkpoints, and ViTs of images to start one from, under our names."""

import math
import re
from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head, resize_positions, with_channels
from medvid_timesformer.model import TimeSformer

EMBEDDING = "backbone.embedding"
POSITIONS, TIMES = f"{EMBEDDING}.positions", f"{EMBEDDING}.time_positions"
PROJECTION = f"{EMBEDDING}.projection.weight"

AUTHORS: tuple[Rule, ...] = (
    (r"^model\.", ""),
    (r"^head\.", "head.classifier."),
    (r"^cls_token$", f"{EMBEDDING}.class_token"),
    (r"^pos_embed$", POSITIONS),
    (r"^time_embed$", TIMES),
    (r"^patch_embed\.proj\.", rf"{EMBEDDING}.projection."),
    (r"^(blocks|norm)\.", r"backbone.\1."),
)
"""The authors' names, which are timm's with attention over time added."""

TRANSFORMERS: tuple[Rule, ...] = (
    (r"^classifier\.", "head.classifier."),
    (r"^timesformer\.", ""),
    (r"^embeddings\.cls_token$", f"{EMBEDDING}.class_token"),
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
"""From the names of each source to ours."""

OF_IMAGES = {
    r"^(model\.)?pre_logits\.": "the layer between class token and classifier is not taken over by TimeSformer",
}
"""What only a ViT of images has, by patterns of published names."""

LEFT_TO_ITSELF = {
    TIMES: "images have no time",
    ".temporal_fc.": "attention over time starts by adding nothing",
}
"""Why a parameter of a TimeSformer that starts from a ViT of images keeps its initialisation, by a part of its name."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`; tables and channels are made to fit."""
    assert isinstance(model.backbone, TimeSformer)
    result = Translation.renamed(published, RENAMES[source], OF_IMAGES if source == "vit" else {})
    if source == "vit":
        _inflate(result, model.state_dict())
    fit(result, model)
    place_head(result, model)
    return result


def _inflate(result: Translation, state: Mapping[str, Tensor]) -> None:
    """Start attention over time from that within images, where the file has none."""
    for name in [name for name in state if name.startswith("backbone.") and name not in result.tensors]:
        spatial = re.sub(r"\.temporal_(attn|norm1)\.", r".\1.", name)
        reasons = [reason for part, reason in LEFT_TO_ITSELF.items() if part in name]
        if spatial in result.tensors:
            result.tensors[name] = result.tensors[spatial]
        elif reasons:
            result.fresh[name] = reasons[0]


def fit(result: Translation, model: Model) -> None:
    """Make the tables as long as the model's, and the patch projection a matrix over as many channels as its input."""
    assert isinstance(model.backbone, TimeSformer)
    embedding, kernel = model.backbone.embedding, result.tensors.get(PROJECTION)
    _fit_table(result, POSITIONS, embedding.positions, fixed=1)
    if embedding.time_positions is not None:
        _fit_table(result, TIMES, embedding.time_positions)
    if kernel is not None and kernel.ndim == 4:
        channels = embedding.projection.in_features // math.prod(embedding.patch)
        matrix = with_channels(kernel, channels).movedim(1, -1).flatten(1)  # here channels are fastest
        if kernel.shape[1] != channels:
            result.resize(PROJECTION, matrix)
        result.tensors[PROJECTION] = matrix


def _fit_table(result: Translation, name: str, ours: Tensor, fixed: int = 0) -> None:
    """Bring a table (1, L, D) to the length of ours by nearest neighbours, but for the first `fixed` rows.

    So the authors' code does on loading, also with positions, of which the grid's rows are one after the other.
    """
    table, length = result.tensors.get(name), ours.shape[1]
    if table is not None and table.shape[1] != length:
        result.resize(name, resize_positions(table, [table.shape[1] - fixed], [length - fixed], "nearest"))
