"""What a plugin's weights.py needs: the translation of a published state to the names of our models."""

from medvid.models.weights.channels import fit_tubelets, with_channels
from medvid.models.weights.heads import place_head
from medvid.models.weights.positions import cubic_grid, infer_grid, resize_positions, unknown_grid
from medvid.models.weights.translation import Rule, Translate, Translation, rename

__all__ = [
    "Rule",
    "Translate",
    "Translation",
    "cubic_grid",
    "fit_tubelets",
    "infer_grid",
    "place_head",
    "rename",
    "resize_positions",
    "unknown_grid",
    "with_channels",
]
