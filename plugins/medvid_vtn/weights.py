"""Published VTN checkpoints under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head, timm
from medvid_vtn.model import VTN

AUTHORS: tuple[Rule, ...] = (
    (r"^mlp_head\.([01])\.", r"head.hidden.\1."),
    (r"^mlp_head\.4\.", "head.classifier."),
    (r"^backbone\.", "backbone.frame."),
    (r"^cls_token$", "backbone.temporal.class_token"),
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
    *timm.NAMES,
)
"""From the names of VTN's authors, in part transformers', to ours."""

UNUSED = timm.UNUSED | {
    r"^temporal_encoder\.embeddings\.position_ids$": "older transformers kept the row numbers of the position table",
}
"""Tensors of published files that have no counterpart here, and why."""


def translate(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published VTN under our names, see `medvid.models.weights`.

    Raises:
        CheckpointError: the frames' backbone is not a ViT, or its positions are of a grid that is neither its nor
            square.
    """
    assert isinstance(model.backbone, VTN)
    result = Translation.renamed(published, AUTHORS, UNUSED)
    result.fuse()
    result.fuse(("key_global", "value_global"), "kv_global")
    fit(result, model)
    hidden = result.tensors.get("head.hidden.1.bias")
    width = "" if hidden is None else f" (head.hidden_dim: {len(hidden)})"
    place_head(result, model, otherwise=f"the model's head has no hidden layer of its width{width}")
    return result


def fit(result: Translation, model: Model) -> None:
    """Interpolate positions of frames of another size; raises as `translate`."""
    assert isinstance(model.backbone, VTN)
    timm.fit_frame_positions(result, model.backbone)
