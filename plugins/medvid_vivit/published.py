"""Published ViViT states, and those of image models, as tensors of torch's layout under our names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medvid.errors import CheckpointError

Rule = tuple[str, str]

HUGGINGFACE: tuple[Rule, ...] = (
    (r"^(vivit\.)?embeddings\.patch_embeddings\.projection\.", "tubelet_embedding.projection."),
    (r"^(vivit\.)?embeddings\.cls_token$", "encoder.class_token"),
    (r"^(vivit\.)?embeddings\.position_embeddings$", "encoder.positions"),
    (r"^(vivit\.)?(encoder\.layer|layers)\.(\d+)\.", r"encoder.blocks.\3."),
    (r"^(vivit\.)?layernorm\.", "encoder.norm."),
    (r"^(vivit\.)?pooler\.", "pooler."),
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
"""From the names of transformers (4, which are the hub's, and 5) to ours, applied one after the other."""

FLAX: tuple[Rule, ...] = (
    (r"/(kernel|scale)$", ".weight"),
    (r"/bias$", ".bias"),
    (r"^embedding\.", "tubelet_embedding.projection."),
    (r"^cls(_SpatialTransformer)?$", "encoder.class_token"),
    (r"^cls_TemporalTransformer$", "temporal_encoder.class_token"),
    (r"^(Spatial)?Transformer/", "encoder."),
    (r"^TemporalTransformer/", "temporal_encoder."),
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
    (r"^(output_projection|head)\.", "classifier."),
)
"""From scenic's names, and those of Google's image models, to ours."""

TIMM: tuple[Rule, ...] = (
    (r"^patch_embed\.proj\.", "tubelet_embedding.projection."),
    (r"^cls_token$", "encoder.class_token"),
    (r"^pos_embed$", "encoder.positions"),
    (r"^blocks\.", "encoder.blocks."),
    (r"^(fc_)?norm\.", "encoder.norm."),
    (r"^head\.", "classifier."),
    (r"^pre_logits\.fc\.", "pre_logits."),
)
"""From the names of timm's ViT to ours."""

KERNEL = "tubelet_embedding.projection.weight"
CLASSIFIER = ("classifier.weight", "classifier.bias")
ROOTS = ("", "params/", "optimizer/target/", "optimizer/target/params/")
"""Where scenic's checkpoints keep the parameters."""


@dataclass
class Published:
    """A published state under our names (without ``backbone.``), its kernels laid out as torch's.

    Args:
        tensors: by our name; the tubelets' kernel is (D, t, h, w, C).
        keys: the published key of each name that has one.
        heads: attention heads by encoder, where the file tells them.
        dropped: by published key, why a tensor is not among them.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)

    def drop(self, name: str, reason: str) -> None:
        """Leave out a tensor."""
        self.dropped[self.keys[name]] = reason
        del self.tensors[name]


def read(state: Mapping[str, Tensor], source: str) -> Published:
    """Rename a published state and lay out its tensors as torch's.

    Args:
        state: what the file holds.
        source: ``huggingface``, ``scenic`` or ``vit``.

    Raises:
        CheckpointError: several parts of the file may be the parameters.
    """
    if source == "scenic" or (source == "vit" and any(key.endswith("embedding/kernel") for key in state)):
        return _read_flax(state)
    rules = {"huggingface": HUGGINGFACE, "vit": TIMM}[source]
    file = Published(keys={_rename(key, rules): key for key in state})
    file.tensors = _fused({name: state[key] for name, key in file.keys.items()})
    if KERNEL in file.tensors:
        kernel = file.tensors[KERNEL]  # D, C, t, h, w; of an image model D, C, h, w
        file.tensors[KERNEL] = (kernel if kernel.ndim == 5 else kernel.unsqueeze(2)).movedim(1, -1)
    return file


def _read_flax(state: Mapping[str, Tensor]) -> Published:
    root = _root(state)
    below = {key: _rename(key.removeprefix(root), FLAX) for key in state if key.startswith(root)}
    file = Published(keys={name: key for key, name in below.items()})
    file.dropped = {key: f"it is not below {root}, where the parameters are" for key in state if key not in below}
    for name, key in file.keys.items():
        if name.endswith(".attn.query.weight") and state[key].ndim == 3:  # D, heads, D / heads
            file.heads[name.partition(".")[0]] = state[key].shape[1]
    file.tensors = _fused({name: _from_flax(name, state[key]) for name, key in file.keys.items()})
    return file


def _rename(key: str, rules: Sequence[Rule]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _root(published: Mapping[str, Tensor]) -> str:
    """The prefix of the parameters, in a file that may hold the optimizer's state too."""
    end = "embedding/kernel"
    found = [key.removesuffix(end) for key in published if key == end or key.endswith(f"/{end}")]
    usual = [root for root in found if root in ROOTS]
    if len(found) > 1 and len(usual) == 1:
        return usual[0]
    if len(found) > 1:
        raise CheckpointError(
            f"the file has the parameters several times, below {', '.join(repr(root) for root in found)}",
            hint="save the ones to use alone, as .npz or .safetensors",
        )
    return found[0] if found else ""


def _from_flax(name: str, tensor: Tensor) -> Tensor:
    """Flax keeps a kernel's outputs last, and attention heads on an axis of their own."""
    if name == KERNEL:
        return (tensor if tensor.ndim == 5 else tensor.unsqueeze(0)).movedim(-1, 0)  # D, t, h, w, C
    if name.endswith((".attn.proj.weight", ".attn_time.proj.weight")):
        return tensor.flatten(0, -2).t()
    if name.endswith(".weight") and tensor.ndim > 1:
        return tensor.flatten(1).t()
    return tensor.flatten() if name.endswith(".bias") else tensor


def _fused(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, with queries, keys and values one below the other."""
    fused = {name: tensor for name, tensor in tensors.items() if not re.search(r"\.(query|key|value)\.", name)}
    for name in tensors:
        if ".query." in name:
            parts = [tensors.get(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
            fused[name.replace(".query.", ".qkv.")] = torch.cat([part for part in parts if part is not None])
    return fused
