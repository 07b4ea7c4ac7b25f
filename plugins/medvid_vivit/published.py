"""Published ViViT states, and those of image models, under our names and with the axes of torch."""

import re
from collections.abc import Mapping

from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.weights import Rule, Translation, flax, rename

KERNEL = "backbone.tubelet_embedding.projection.weight"

HUGGINGFACE: tuple[Rule, ...] = (
    (r"^classifier\.", "head.classifier."),
    (r"^vivit\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "backbone.tubelet_embedding.projection."),
    (r"^embeddings\.cls_token$", "backbone.encoder.class_token"),
    (r"^embeddings\.position_embeddings$", "backbone.encoder.positions"),
    (r"^(encoder\.layer|layers)\.(\d+)\.", r"backbone.encoder.blocks.\2."),
    (r"^layernorm\.", "backbone.encoder.norm."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.q_proj\.", ".attn.query."),
    (r"\.attention\.k_proj\.", ".attn.key."),
    (r"\.attention\.v_proj\.", ".attn.value."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
)
"""From the names of transformers (4, which are the hub's, and 5) to ours."""

SCENIC: tuple[Rule, ...] = (
    *flax.LEAVES,
    (r"^(output_projection|head)\.", "head.classifier."),
    (r"^pre_logits\.", "backbone.pre_logits."),
    (r"^embedding\.", "backbone.tubelet_embedding.projection."),
    (r"^cls(_SpatialTransformer)?$", "backbone.encoder.class_token"),
    (r"^cls_TemporalTransformer$", "backbone.temporal_encoder.class_token"),
    (r"^(Spatial)?Transformer/", "backbone.encoder."),
    (r"^TemporalTransformer/", "backbone.temporal_encoder."),
    (r"\.posembed_input/pos_embedding$", ".positions"),
    (r"\.encoder_norm\.", ".norm."),
    (r"\.encoderblock_(\d+)/", r".blocks.\1."),
    (r"\.MultiHeadDotProductAttention_time/(\w+)\.", r".attn_time.\1."),
    (r"\.MultiHeadDotProductAttention_(\d|space)/(\w+)\.", r".attn.\2."),
    (r"\.(attn|attn_time)\.out\.", r".\1.proj."),
    (r"\.LayerNorm_time\.", ".norm_time."),
    (r"\.LayerNorm_(0|space)\.", ".norm1."),
    (r"\.LayerNorm_(1|2|mlp)\.", ".norm2."),
    (r"\.MlpBlock(_\d)?/Dense_0\.", ".mlp.fc1."),
    (r"\.MlpBlock(_\d)?/Dense_1\.", ".mlp.fc2."),
)
"""From scenic's names, and those of Google's image models, to ours."""

TIMM: tuple[Rule, ...] = (
    (r"^head\.", "head.classifier."),
    (r"^pre_logits\.fc\.", "backbone.pre_logits."),
    (r"^patch_embed\.proj\.", "backbone.tubelet_embedding.projection."),
    (r"^cls_token$", "backbone.encoder.class_token"),
    (r"^pos_embed$", "backbone.encoder.positions"),
    (r"^blocks\.", "backbone.encoder.blocks."),
    (r"^(fc_)?norm\.", "backbone.encoder.norm."),
)
"""From the names of timm's ViT to ours."""

UNUSED = {r"^(vivit\.)?pooler\.": "the published classifier does not use the pooler"}
ROOTS = ("", "params/", "optimizer/target/", "optimizer/target/params/")
"""Where scenic's checkpoints keep the parameters."""


def read(published: Mapping[str, Tensor], source: str) -> tuple[Translation, dict[str, int]]:
    """Rename a published state and lay out its tensors as torch's, the tubelets' kernel as (D, t, h, w, C).

    Args:
        published: what the file holds.
        source: ``huggingface``, ``scenic`` or ``vit``.

    Returns:
        The translation so far, and the attention heads of each encoder where the file says how many.

    Raises:
        CheckpointError: several parts of the file may be the parameters.
    """
    heads: dict[str, int] = {}
    if source == "scenic" or (source == "vit" and any(key.endswith("embedding/kernel") for key in published)):
        result, heads = _read_flax(published)
    elif source == "vit":
        result = Translation.renamed(published, TIMM)
    else:
        result = Translation.renamed(published, HUGGINGFACE, UNUSED)
    result.fuse()
    if KERNEL in result.tensors:
        kernel = result.tensors[KERNEL]  # D, C, t, h, w; of an image model D, C, h, w
        result.tensors[KERNEL] = (kernel if kernel.ndim == 5 else kernel.unsqueeze(2)).movedim(1, -1)
    return result, heads


def _read_flax(published: Mapping[str, Tensor]) -> tuple[Translation, dict[str, int]]:
    root = _root(published)
    arrays = {key: array for key, array in published.items() if key.startswith(root)}
    rules = ((f"^{re.escape(root)}", ""), *SCENIC)
    result = Translation.renamed(flax.as_torch(arrays), rules)
    outside = (key for key in published if key not in arrays)
    result.dropped |= dict.fromkeys(outside, f"it is not under {root}, where the parameters are")
    names = {rename(key, rules): array for key, array in arrays.items() if array.ndim == 3}  # D, heads, D / heads
    return result, {name.split(".")[1]: array.shape[1] for name, array in names.items() if ".attn.query." in name}


def _root(published: Mapping[str, Tensor]) -> str:
    """The prefix of the parameters, in a file that may hold the optimizer's state too."""
    end = "embedding/kernel"
    found = [key.removesuffix(end) for key in published if key == end or key.endswith(f"/{end}")]
    usual = [root for root in found if root in ROOTS]
    if len(found) > 1 and len(usual) == 1:
        return usual[0]
    if len(found) > 1:
        raise CheckpointError(
            f"the file contains the parameters more than once, under {', '.join(repr(root) for root in found)}",
            hint="save the ones to use alone, as .npz or .safetensors",
        )
    return found[0] if found else ""
