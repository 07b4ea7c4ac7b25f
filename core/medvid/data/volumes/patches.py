"""Training patches: where they are cut from a prepared case, with centres drawn by MONAI, as in UNETR's code."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medvid.data.targets import target_dtype
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.options import PatchOptions
from medvid.data.volumes.preparation import Prepared
from medvid.data.volumes.truth import truth_of


def draw_patches(
    prepared: Prepared, patch: PatchOptions, random: np.random.RandomState, scheme: LabelScheme
) -> tuple[Tensor, Tensor]:
    """Draw patches of a labelled case.

    Args:
        prepared: the case, usually mapped from disk: only the patches are read.
        patch: size, number and balance of the patches.
        random: the only source of randomness.
        scheme: what the ids of its label map stand for.

    Returns:
        Images (N, C, X, Y, Z) float32 and targets: (N, X, Y, Z) int64, or of regions (N, L, X, Y, Z) float32.
    """
    centres = draw_centres(prepared, patch, random)
    images = [cut(prepared.image, centre, patch.size).astype(np.float32) for centre in centres]
    labels = [truth_of(cut(_label(prepared)[None], centre, patch.size)[0], scheme) for centre in centres]
    targets = torch.from_numpy(np.stack(labels))
    return torch.from_numpy(np.stack(images)), targets.to(target_dtype(scheme.target_info()))


def draw_centres(prepared: Prepared, patch: PatchOptions, random: np.random.RandomState) -> list[tuple[int, ...]]:
    """Draw the centres of ``patch.per_case`` patches, like MONAI's RandCropByPosNegLabel.

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


def cut(array: np.ndarray, centre: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Cut a patch (C, *size) from (C, *S); where S is smaller, it is padded with zeros."""
    lengths = [min(p, s) for p, s in zip(size, array.shape[1:], strict=True)]
    starts = [c - n // 2 for c, n in zip(centre, lengths, strict=True)]
    window = array[(slice(None), *(slice(start, start + n) for start, n in zip(starts, lengths, strict=True)))]
    missing = [p - n for p, n in zip(size, lengths, strict=True)]
    return np.pad(window, [(0, 0), *((m // 2, m - m // 2) for m in missing)])


def _label(prepared: Prepared) -> np.ndarray:
    assert prepared.label is not None
    return prepared.label
