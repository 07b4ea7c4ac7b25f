"""Parameters as flax keeps them, in Google's .npz files: their names and the order of their axes."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.weights.translation import Rule

LEAVES: tuple[Rule, ...] = ((r"/(kernel|scale)$", ".weight"), (r"/bias$", ".bias"))
"""The last part of a name."""

VIT: tuple[Rule, ...] = (
    *LEAVES,
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
"""From the names of Google's ViTs to those of timm's."""


def as_torch(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of flax, by the same names, with the axes of torch."""
    return {key: _axes_of_torch(key, array) for key, array in arrays.items()}


def _axes_of_torch(key: str, array: Tensor) -> Tensor:
    """Kernels have their outputs last there, attention heads an axis of their own, and vectors may have empty axes."""
    *_, leaf = key.split("/")
    if leaf == "pos_embedding" or leaf.startswith("cls"):
        return array
    if leaf != "kernel":
        return array.flatten()
    if array.ndim > 3:
        return array.movedim((-1, -2), (0, 1))  # *kernel, in, out
    return (array.flatten(0, -2) if key.endswith("/out/kernel") else array.flatten(1)).t()
