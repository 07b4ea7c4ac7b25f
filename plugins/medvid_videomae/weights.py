"""Published VideoMAE checkpoints, pre-trained and fine-tuned, under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, fit_tubelets, place_head
from medvid_videomae.model import VideoMAE

PROJECTION = "backbone.tubelet_embedding.projection"

AUTHORS: tuple[Rule, ...] = (
    (r"^_orig_mod\.", ""),
    (r"^(model|backbone|encoder)\.", ""),
    (r"^head\.", "head.classifier."),
    (r"^patch_embed\.proj\.", f"{PROJECTION}."),
    (r"^(blocks|norm|fc_norm)\.", r"backbone.\1."),
    (r"\.attn\.([qv]_bias)$", r".attn.qkv.\1"),
)
"""The authors' names; those of the pre-trained encoder stand below `encoder`."""

TRANSFORMERS: tuple[Rule, ...] = (
    (r"^videomae\.", ""),
    (r"^classifier\.", "head.classifier."),
    (r"^embeddings\.patch_embeddings\.projection\.", f"{PROJECTION}."),
    (r"^encoder\.layer\.", "backbone.blocks."),
    (r"^layernorm\.", "backbone.norm."),
    (r"^fc_norm\.", "backbone.fc_norm."),
    (r"\.attention\.attention\.(query\.bias|q_bias)$", ".attn.qkv.q_bias"),  # the latter before transformers 5
    (r"\.attention\.attention\.(value\.bias|v_bias)$", ".attn.qkv.v_bias"),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
)

RENAMES = {"authors": AUTHORS, "huggingface": TRANSFORMERS}
"""From the names of each source to ours."""

OF_PRETRAINING = {
    r"(^|\.)(decoder|encoder_to_decoder|mask_token)\b": "it is of the decoder, which pre-training alone needs",
    r"(^|\.)(pos_embed|position_embeddings)$": "positions are fixed, and computed",
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
    assert isinstance(model.backbone, VideoMAE)
    result = Translation.renamed(published, RENAMES[source], OF_PRETRAINING)
    result.fuse()
    fit_tubelets(result, f"{PROJECTION}.weight", model.backbone.tubelet_embedding)
    _place_norm(result, model.backbone)
    place_head(result, model)
    return result


def _place_norm(result: Translation, backbone: VideoMAE) -> None:
    """Keep the file's norm of the tokens' mean (fc_norm), or that of each token, as the model has one of them."""
    wanted, other = ("fc_norm", "norm") if backbone.fc_norm is not None else ("norm", "fc_norm")
    for name in ("weight", "bias"):
        if f"backbone.{other}.{name}" in result.tensors:
            result.drop(f"backbone.{other}.{name}", f"the model has {wanted} instead; see backbone.use_mean_pooling")
        if f"backbone.{wanted}.{name}" not in result.tensors:
            result.fresh[f"backbone.{wanted}.{name}"] = "the file has none; see backbone.use_mean_pooling"
