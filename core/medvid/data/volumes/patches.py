"""Training patches: where they are cut from a prepared case, and the patches themselves."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medvid.data.volumes.corners import Corner, count_forced, draw_corner, sets_of
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.options import PatchOptions
from medvid.data.volumes.preparation import Prepared
from medvid.data.volumes.truth import truth_of


def draw_patches(
    prepared: Prepared,
    patch: PatchOptions,
    random: np.random.RandomState,
    scheme: LabelScheme,
    larger: Sequence[int] | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Draw patches of a labelled case.

    Args:
        prepared: the case, usually mapped from disk: only the patches are read.
        patch: size, number and balance of the patches.
        random: the only source of randomness.
        scheme: what the ids of its label map stand for.
        larger: size to cut instead, about the middle of the patches; transforms then make patches of it.

    Returns:
        Images (N, C, X, Y, Z) float32; targets (N, X, Y, Z), or of regions (N, L, X, Y, Z), in small types, or values
        (N, V, X, Y, Z) float32; and masks (N, X, Y, Z) bool, if the case has one.
    """
    size = tuple(larger or patch.size)
    place = _by_voxels if patch.centres == "voxels" else _by_classes
    corners = place(prepared, patch, size, random)
    images = [cut(prepared.image, corner, size).astype(np.float32) for corner in corners]
    labels = [_target(prepared, corner, size, scheme) for corner in corners]
    targets = torch.from_numpy(np.stack(labels))
    if prepared.mask is None:
        return torch.from_numpy(np.stack(images)), targets, None
    masks = [cut(prepared.mask[None], corner, size)[0] for corner in corners]
    return torch.from_numpy(np.stack(images)), targets, torch.from_numpy(np.stack(masks))


def _by_voxels(
    prepared: Prepared, patch: PatchOptions, size: Sequence[int], random: np.random.RandomState
) -> list[Corner]:
    """Corners about centres by `draw_centres`; in short volumes patches lie in the middle."""
    shape = prepared.grid.prepared_shape
    short = [min(lengths) for lengths in zip(patch.size, shape, strict=True)]
    return [
        tuple(
            c - length // 2 - (final - length) // 2 - (n // 2 - final // 2)
            for c, length, final, n in zip(centre, short, patch.size, size, strict=True)
        )
        for centre in draw_centres(prepared, patch, random)
    ]


def _by_classes(
    prepared: Prepared, patch: PatchOptions, size: Sequence[int], random: np.random.RandomState
) -> list[Corner]:
    """Corners as nnU-Net draws them, see `medvid.data.volumes.corners`."""
    assert prepared.locations is not None
    free = patch.per_case - count_forced(patch.forced, patch.per_case, random)
    sets = [sets_of(prepared.locations, is_forced=number >= free) for number in range(patch.per_case)]
    return [draw_corner(prepared.grid.prepared_shape, patch.size, size, each, random) for each in sets]


def draw_centres(prepared: Prepared, patch: PatchOptions, random: np.random.RandomState) -> list[tuple[int, ...]]:
    """Draw the centres of ``patch.per_case`` patches, like MONAI's RandCropByPosNegLabel, as in UNETR's code.

    A centre is any labelled voxel with probability positive / (positive + negative), else any unlabelled voxel of the
    body; it is then moved just far enough that the patch lies inside the volume. A case without voxels of one kind
    yields patches of the other, and one in which nothing is annotated those around its middle.
    """
    from monai.transforms.utils import generate_pos_neg_label_crop_centers

    foreground, background = prepared.foreground, prepared.background
    assert foreground is not None
    assert background is not None
    foreground, background = (foreground, background) if len(foreground) else (background, background)
    background = background if len(background) else foreground
    share = patch.positive / (patch.positive + patch.negative)
    shape = prepared.grid.prepared_shape
    if not len(background):
        return [tuple(length // 2 for length in shape)] * patch.per_case
    return [
        tuple(int(i) for i in centre)
        for centre in generate_pos_neg_label_crop_centers(
            patch.size, patch.per_case, share, shape, foreground, background, random, allow_smaller=True
        )
    ]


def cut(array: np.ndarray, corner: Sequence[int], size: Sequence[int], outside: float = 0) -> np.ndarray:
    """Cut a patch (C, *size) from (C, *S), whose corner may lie outside of it."""
    ends = [start + n for start, n in zip(corner, size, strict=True)]
    inside = [
        slice(min(max(0, start), length), max(0, min(end, length)))
        for start, end, length in zip(corner, ends, array.shape[1:], strict=True)
    ]
    window = array[:, *inside]
    missing = [
        (min(max(0, -start), n), n - min(max(0, -start), n) - have)
        for start, n, have in zip(corner, size, window.shape[1:], strict=True)
    ]
    if not any(map(any, missing)):
        return window
    return np.pad(window, [(0, 0), *missing], constant_values=outside)


def _target(prepared: Prepared, corner: Corner, size: Sequence[int], scheme: LabelScheme) -> np.ndarray:
    """What the voxels of a patch are annotated with; outside of the case they are background, values unknown."""
    assert prepared.label is not None
    if scheme.what == "value":
        return cut(prepared.label, corner, size, np.nan)
    return truth_of(cut(prepared.label[None], corner, size)[0], scheme, prepared.drawn)
