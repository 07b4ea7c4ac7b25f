"""Published TransUNet weights under our names."""

import math
import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, flax, place_head, resize_positions, unknown_grid
from medvid_transunet.decoder import CascadedUpsampler
from medvid_transunet.model import TransUNet

POSITIONS = "backbone.patch_embedding.positions"
PROJECTION = "backbone.patch_embedding.projection."
RESNET = "backbone.resnet"


def _unit(match: re.Match[str]) -> str:
    return f"{RESNET}.stages.{int(match[1]) - 1}.{int(match[2]) - 1}."


NORMS: tuple[Rule, ...] = (
    (r"\.gn_proj\.", ".shortcut.1."),
    (r"\.gn(\d)\.", r".norm\1."),
)
"""Those of the ResNet's units, which Google and the authors name alike."""

AUTHORS: tuple[Rule, ...] = (
    (r"^transformer\.embeddings\.position_embeddings$", POSITIONS),
    (r"^transformer\.embeddings\.patch_embeddings\.", PROJECTION),
    (r"^transformer\.embeddings\.hybrid_model\.root\.conv\.", f"{RESNET}.stem.0."),
    (r"^transformer\.embeddings\.hybrid_model\.root\.gn\.", f"{RESNET}.stem.1."),
    (r"^transformer\.embeddings\.hybrid_model\.body\.block(\d+)\.unit(\d+)\.", _unit),
    (r"^(backbone\.resnet\..*)\.downsample\.", r"\1.shortcut.0."),
    *NORMS,
    (r"^transformer\.encoder\.layer\.", "backbone.blocks."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.ffn_norm\.", ".norm2."),
    (r"\.ffn\.", ".mlp."),
    (r"\.attn\.out\.", ".attn.proj."),
    (r"^transformer\.encoder\.encoder_norm\.", "backbone.norm."),
    (r"^decoder\.", "head."),
    (r"^segmentation_head\.0\.", "head.segmentation."),
)
"""From the authors' names to ours."""

GOOGLE: tuple[Rule, ...] = (
    *flax.VIT,
    (r"^pos_embed$", POSITIONS),
    (r"^patch_embed\.proj\.", PROJECTION),
    (r"^(blocks|norm)\.", r"backbone.\1."),
    (r"^conv_root\.", f"{RESNET}.stem.0."),
    (r"^gn_root\.", f"{RESNET}.stem.1."),
    (r"^block(\d+)/unit(\d+)/", _unit),
    (r"\.conv_proj\.", ".shortcut.0."),
    *NORMS,
)
"""From the names in Google's npz files to ours."""

CLASSIFIER = {r"^(head|pre_logits)/|^cls$": "it is of ImageNet's classes"}
"""What Google's npz files hold besides."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring published weights under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``google_npz`` (backbone only) or ``transunet`` (the authors' names, backbone and decoder).
        model: where they go.

    Raises:
        CheckpointError: position embeddings of a grid that is neither the model's nor square.
    """
    assert isinstance(model.backbone, TransUNet)
    if source == "google_npz":
        result = Translation.renamed(flax.as_torch(published), GOOGLE, CLASSIFIER)
    else:
        result = Translation.renamed(published, AUTHORS)
    result.fuse()
    fit(result, model)
    place_head(result, model, classifier="head.segmentation", fits=isinstance(model.head, CascadedUpsampler))
    return result


def fit(result: Translation, model: Model) -> None:
    """Interpolate positions of another grid; raises as `translate`."""
    assert isinstance(model.backbone, TransUNet)
    table, grid = result.tensors.get(POSITIONS), model.backbone.patch_embedding.grid
    if table is not None and table.shape[1] != math.prod(grid):
        result.resize(POSITIONS, fit_positions(table, grid))


def fit_positions(table: Tensor, grid: Sequence[int]) -> Tensor:
    """Interpolate the positions (1, N, D) of a square grid linearly to another grid, corners on corners.

    The authors' `scipy.ndimage.zoom` gives the same, but for sizes at which its rounding sets the last row to zero.
    A class token, which stands first, is left out.

    Raises:
        CheckpointError: N is not the number of patches of a square grid, with or without a class token.
    """
    count = table.shape[1]
    side = math.isqrt(count)
    if side**2 not in (count, count - 1):
        hint = "set backbone.img_size to the size that the published weights were trained with"
        raise unknown_grid(count, grid, hint)
    return resize_positions(table[:, count - side**2 :], (side, side), grid, "linear", align_corners=True)
