"""ViTs by timm's names, also those that run on the frames of videos."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.framewise import Framewise
from medvid.models.weights.positions import cubic_grid, infer_grid, resize_positions
from medvid.models.weights.translation import Rule, Translation

NAMES: tuple[Rule, ...] = (
    (r"\bpatch_embed\.proj\.", "patch_embedding.projection."),
    (r"\bcls_token$", "class_token"),
    (r"\bpos_embed$", "positions"),
)
"""From timm's names of a ViT's parts to ours, wherever the ViT stands; its blocks are named alike."""

UNUSED = {r"^(pre_logits[./]|head/)": "it is of the classes that the ViT was pre-trained on"}
"""Tensors of published files that have no counterpart here, and why."""


@runtime_checkable
class ViT(Protocol):
    """What a ViT has, whatever its class."""

    positions: Tensor
    """Positions (1, 1 + rows * columns, D)."""
    grid: tuple[int, int]
    """Rows and columns of patches."""


def fit_positions(result: Translation, name: str, grid: tuple[int, int]) -> None:
    """Resize the patches' positions as timm does, also from a square grid of as many patches as the model's.

    Raises:
        CheckpointError: they are of a grid that is neither the model's nor square.
    """
    table = result.tensors.get(name)
    if table is None:
        return
    count, hint = table.shape[1] - 1, "set img_size of the ViT to the size that the published weights were trained with"
    old = cubic_grid(count, 2) or infer_grid(count, grid, hint)
    if old != grid:
        result.resize(name, resize_positions(table, old, grid, "bicubic", antialias=True))


def fit_frame_positions(result: Translation, backbone: Framewise) -> None:
    """Likewise those of the ViT that runs on each frame.

    Raises:
        CheckpointError: the frames' backbone is not a ViT, or as `fit_positions` says.
    """
    if not isinstance(backbone.frame, ViT):
        raise CheckpointError(
            f"the published {type(backbone).__name__} runs a ViT on each frame, the model a "
            f"{type(backbone.frame).__name__}",
            hint="name vit in backbone.frame, or leave out backbone.weights; frame.weights can start the frames' part",
        )
    fit_positions(result, "backbone.frame.positions", backbone.frame.grid)
