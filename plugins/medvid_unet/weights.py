"""nnU-Net's checkpoints, and states of its networks, under our names."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head
from medvid_unet.config import UNetWeights
from medvid_unet.decoder import UNetDecoder
from medvid_unet.model import UNet

RENAMES: tuple[Rule, ...] = (
    (r"^encoder\.stem\.convs\.0\.", "backbone.stem."),
    (r"^encoder\.stages\.(\d+)\.0\.convs\.(\d+)\.", r"backbone.stages.\1.\2."),
    (r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\.", r"backbone.stages.\1.\2."),
    (r"\.skip\.[01]\.", ".skip."),
    (r"^decoder\.transpconvs\.(\d+)\.", r"head.levels.\1.upsample."),
    (r"^decoder\.stages\.(\d+)\.convs\.(\d+)\.", r"head.levels.\1.convs.\2."),
    (r"^decoder\.seg_layers\.(\d+)\.", r"head.classifiers.\1."),
)
"""From the published names to ours, but that their levels are counted from the coarsest."""

REPEATED = {
    r"^decoder\.encoder\.": "it repeats a tensor of the encoder",
    r"\.all_modules\.\d+\.": "it repeats a tensor of the same block",
}
IMAGE_READERS = ("NaturalImage2DIO",)
"""Of images; all others of nnU-Net's read volumes."""


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``nnunet`` (with its plans.json, which says how its axes were ordered) or ``state_dict``.
        model: where it goes.

    Raises:
        CheckpointError: there is no plan, or it is for slices across another axis.
    """
    backbone, head = model.backbone, model.head
    assert isinstance(backbone, UNet)
    result = Translation.renamed(published, _counted_from_finest(published), REPEATED)
    supervised = isinstance(head, UNetDecoder) and len(head.classifiers)
    for name in [name for name in result.tensors if name.startswith("head.classifiers.")]:
        if supervised == 1 and not name.startswith("head.classifiers.0."):
            result.drop(name, "it predicts at a coarser scale, and head.deep_supervision is off")
    place_head(result, model, classifier="head.classifiers", fits=isinstance(head, UNetDecoder))
    rank = len(backbone.total_stride)
    order = tuple(range(rank))
    if source == "nnunet":
        assert backbone.weights
        order = order_of_axes(read_plans(backbone.weights), rank)
    ours = model.state_dict()
    for name, tensor in result.tensors.items():
        if tensor.ndim == 2 + rank:
            matrix = name in ours and ours[name].ndim == 2  # which a convolution of kernel size 1 is here
            ordered = tensor.permute(0, 1, *(2 + axis for axis in order)).contiguous()
            result.tensors[name] = ordered.flatten(1) if matrix else ordered
    return result


def read_plans(weights: UNetWeights) -> dict[str, Any]:
    """The plans of a checkpoint.

    Raises:
        CheckpointError: they are not where they should be, or are no plans.
    """
    folder = weights.path.parent
    usual = (folder / "plans.json", folder.parent / "plans.json")
    path = weights.plans or next((path for path in usual if path.is_file()), usual[-1])
    try:
        plans = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plans["transpose_forward"], list):
            raise TypeError(f"transpose_forward is {plans['transpose_forward']!r}, not a list")
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such file; it says in which order the axes of {weights.path.name} are",
            hint="copy plans.json from the folder of that training, or set backbone.weights.plans",
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is not nnU-Net's plans.json: {error!r}") from error
    return dict(plans)


def order_of_axes(plans: Mapping[str, Any], rank: int) -> tuple[int, ...]:
    """For each of our axes, the one of nnU-Net that it is: of volumes (R, A, S), of images (H, W).

    nnU-Net sees volumes as z, y, x of the file, reordered by its plan; these are S, A, R if the file stores R first.

    Args:
        plans: of nnU-Net.
        rank: 3, or 2 for its configuration 2d.

    Raises:
        CheckpointError: the plan is for slices across another axis than z, or is malformed.
    """
    if rank == 2 and plans.get("image_reader_writer") in IMAGE_READERS:
        return (0, 1)
    forward: Sequence[int] = plans["transpose_forward"]
    if sorted(forward) != [0, 1, 2]:
        raise CheckpointError(f"the plans of nnU-Net reorder axes by {forward!r}, which are not 0, 1 and 2")
    if rank == 3:
        return tuple(forward.index(axis) for axis in (2, 1, 0))
    if forward[0] != 0:
        raise CheckpointError(
            f"this 2D configuration of nnU-Net is for slices across axis {'zyx'[forward[0]]} of its files "
            f"(transpose_forward {list(forward)}); medvid takes slices across z alone"
        )
    return tuple(forward.index(axis) - 1 for axis in (2, 1))


def _counted_from_finest(published: Mapping[str, Tensor]) -> tuple[Rule, ...]:
    """The renaming, with levels counted as ours are, from the finest."""
    numbers = [int(name.split(".")[2]) for name in published if name.startswith("decoder.seg_layers.")]
    pattern = r"^(head\.(?:levels|classifiers))\.(\d+)\."
    return (*RENAMES, (pattern, lambda match: f"{match[1]}.{max(numbers, default=0) - int(match[2])}."))
