"""The model zoo of pytorchvideo under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head

SLOWFAST_NAMES: tuple[Rule, ...] = (
    (r"^blocks\.6\.proj\.", "head.classifier."),
    (r"^(?!head\.)", "backbone."),
)

X3D_NAMES: tuple[Rule, ...] = (
    (r"^blocks\.5\.proj\.", "head.classifier."),
    (r"^blocks\.5\.pool\.", "projection."),
    (r"^(?!head\.)", "backbone."),
)


def translate_slowfast(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published SlowFast under our names, see `medvid.models.weights`."""
    return _translate(published, SLOWFAST_NAMES, model)


def translate_x3d(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published X3D under our names, see `medvid.models.weights`."""
    return _translate(published, X3D_NAMES, model)


def _translate(published: Mapping[str, Tensor], names: tuple[Rule, ...], model: Model) -> Translation:
    result = Translation.renamed(published, names)
    place_head(result, model)
    return result
