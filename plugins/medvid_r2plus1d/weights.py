"""torchvision's R(2+1)D under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head

NAMES: tuple[Rule, ...] = ((r"^fc\.", "head.classifier."), (r"^(?!head\.)", "backbone."))


def translate(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published R(2+1)D under our names, see `medvid.models.weights`."""
    result = Translation.renamed(published, NAMES)
    place_head(result, model)
    return result
