"""The model zoo of pytorchvideo under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.build import Model
from medvid.models.weights import Translation, place_classifier

SLOWFAST_HEAD = "blocks.6.proj."
X3D_HEAD = "blocks.5.proj."
X3D_PROJECTION = "blocks.5.pool."


def translate_slowfast(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published SlowFast under our names, see `medvid.models.weights`."""
    result = Translation()
    result.tensors = {
        f"backbone.{key}": tensor for key, tensor in published.items() if not key.startswith(SLOWFAST_HEAD)
    }
    place_classifier(result, published, f"{SLOWFAST_HEAD}weight", f"{SLOWFAST_HEAD}bias", model)
    return result


def translate_x3d(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published X3D under our names, see `medvid.models.weights`."""
    result = Translation()
    for key, tensor in published.items():
        if key.startswith(X3D_PROJECTION):
            result.tensors[f"backbone.projection.{key.removeprefix(X3D_PROJECTION)}"] = tensor
        elif not key.startswith(X3D_HEAD):
            result.tensors[f"backbone.{key}"] = tensor
    place_classifier(result, published, f"{X3D_HEAD}weight", f"{X3D_HEAD}bias", model)
    return result
