"""Published ViTs, timm's and Google's, under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, flax, place_head, timm
from medvid_vit.model import ViT

TIMM: tuple[Rule, ...] = (
    (r"^head\.", "head.classifier."),
    (r"^(?!head\.)", "backbone."),
    *timm.NAMES,
)
"""From timm's names to ours."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published ViT under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``timm``, with its classifier if the head has as many classes, or ``google_npz`` without.
        model: where it goes.

    Raises:
        CheckpointError: position embeddings of a grid that is neither the model's nor square.
    """
    assert isinstance(model.backbone, ViT)
    if source == "google_npz":
        result = Translation.renamed(flax.as_torch(published), (*flax.VIT, *TIMM), timm.UNUSED)
        result.fuse()
    else:
        result = Translation.renamed(published, TIMM, timm.UNUSED)
    fit(result, model)
    place_head(result, model)
    return result


def fit(result: Translation, model: Model) -> None:
    """Resize positions of another grid; raises as `translate`."""
    assert isinstance(model.backbone, ViT)
    timm.fit_positions(result, "backbone.positions", model.backbone.grid)
