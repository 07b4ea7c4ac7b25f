"""What nnU-Net's plans say about the weights that it has trained."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from medvid.errors import CheckpointError
from medvid.models.options import NNUNetWeights

IMAGE_READERS = ("NaturalImage2DIO",)
"""Of images; all others of nnU-Net's read volumes."""


def read_plans(weights: NNUNetWeights) -> dict[str, Any]:
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
