"""Published V-JEPA 2 checkpoints under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, fit_tubelets, place_head
from medvid_vjepa.model import VJEPA

PROJECTION = "backbone.tubelet_embedding.projection"

AUTHORS: tuple[Rule, ...] = (
    (r"^backbone\.", ""),
    (r"^patch_embed\.proj\.", f"{PROJECTION}."),
    (r"^(blocks|norm)\.", r"backbone.\1."),
)
"""The authors' names."""

TRANSFORMERS: tuple[Rule, ...] = (
    (r"^vjepa2\.", ""),
    (r"^classifier\.", "head.classifier."),
    (r"^encoder\.embeddings\.patch_embeddings\.proj\.", f"{PROJECTION}."),
    (r"^encoder\.layer\.", "backbone.blocks."),
    (r"^encoder\.layernorm\.", "backbone.norm."),
    (r"^pooler\.query_tokens$", "backbone.pooler.query"),
    (r"^pooler\.cross_attention_layer\.", "backbone.pooler."),
    (r"^pooler\.self_attention_layers\.", "backbone.pooler.blocks."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"\.(attention|self_attn|cross_attn)\.", ".attn."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
)
"""transformers' names, but for those of queries, keys and values."""

RENAMES = {"authors": AUTHORS, "huggingface": TRANSFORMERS}
"""From the names of each source to ours."""

UNUSED = {
    r"^(vjepa2\.)?predictor\.": "it is of the predictor, which pre-training alone needs",
    r"(^|\.)pos_embed$": "positions are rotary; the authors' code leaves this table out too",
}
"""What is not taken over, by patterns of published names."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``authors`` or ``huggingface``.
        model: where it goes; its tubelets' projection is fitted to the channels of its input.

    Raises:
        CheckpointError: the file has other tubelets.
    """
    assert isinstance(model.backbone, VJEPA)
    result = Translation.renamed(published, RENAMES[source], UNUSED)
    result.fuse()
    _fuse_pooler(result)
    fit_tubelets(result, f"{PROJECTION}.weight", model.backbone.tubelet_embedding)
    _place_pooler(result, model)
    place_head(result, model)
    return result


def _fuse_pooler(result: Translation) -> None:
    """Join the queries, keys and values of self-attention, and the keys and values of cross-attention."""
    for name in [name for name in result.tensors if ".pooler.attn.q_proj." in name]:
        result.tensors[name.replace(".q_proj.", ".q.")] = result.tensors.pop(name)
    result.fuse(("q_proj", "k_proj", "v_proj"))
    result.fuse(("k_proj", "v_proj"), "kv")


def _place_pooler(result: Translation, model: Model) -> None:
    """Leave the file's pooler out where the model has none, and start the model's afresh where the file has none."""
    theirs = [name for name in result.tensors if name.startswith("backbone.pooler.")]
    ours = [name for name in model.state_dict() if name.startswith("backbone.pooler.")]
    if not ours:
        for name in theirs:
            result.drop(name, "backbone.num_pooler_layers is not set")
    elif not theirs:
        result.fresh |= dict.fromkeys(ours, "the file has no pooler")
