"""Published STAM checkpoints under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head, resize_positions, timm
from medvid_stam.model import STAM

AUTHORS: tuple[Rule, ...] = (
    (r"^head\.", "head.classifier."),
    (r"^aggregate\.(transformer_enc\.)?", "backbone.temporal."),
    (r"^(?!backbone\.|head\.)", "backbone.frame."),
    *timm.NAMES,
)
"""From the names of STAM's authors to ours."""


def translate(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published STAM under our names, see `medvid.models.weights`.

    The positions of another number of frames are interpolated in time.

    Raises:
        CheckpointError: the frames' backbone is not a ViT, or its positions are of a grid that is neither its nor
            square.
    """
    assert isinstance(model.backbone, STAM)
    result = Translation.renamed(published, AUTHORS, timm.UNUSED)
    fit(result, model)
    place_head(result, model)
    return result


def fit(result: Translation, model: Model) -> None:
    """Interpolate positions of other frames, or of another number of them; raises as `translate`."""
    assert isinstance(model.backbone, STAM)
    timm.fit_frame_positions(result, model.backbone)
    _fit_frames(result, "backbone.temporal.positions", model.backbone.num_frames)


def _fit_frames(result: Translation, name: str, frames: int) -> None:
    """Resize the positions (1, 1 + T, D) of the frames linearly where the model takes another number of them."""
    table = result.tensors.get(name)
    if table is not None and table.shape[1] != 1 + frames:
        result.resize(name, resize_positions(table, [table.shape[1] - 1], [frames], "linear"))
