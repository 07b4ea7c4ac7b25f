"""Training patches: where they are cut from a prepared case, and how they are changed at random.

Sampling and transforms are MONAI's, imported on use, as in the published UNETR pipeline. All randomness comes from a
seed, never from a global state.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medvid.config.volumes import AugmentOptions, PatchOptions
from medvid.data.preparation import Prepared


def draw_patches(prepared: Prepared, patch: PatchOptions, augment: AugmentOptions, seed: int) -> tuple[Tensor, Tensor]:
    """Draw and augment patches of a labelled case.

    Args:
        prepared: the case, usually mapped from disk: only the patches are read.
        patch: size, number and balance of the patches.
        augment: the random changes.
        seed: any integer from 0; decides everything that is random here.

    Returns:
        Images (N, C, X, Y, Z) float32 and labels (N, X, Y, Z) int64.
    """
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    transform = _augmentation(augment)
    transform.set_random_state(state=random)
    images, labels = [], []
    for centre in draw_centres(prepared, patch, random):
        image = cut(prepared.image, centre, patch.size).astype(np.float32)
        label = cut(_label(prepared)[None], centre, patch.size)
        changed = transform({"image": torch.from_numpy(image), "label": torch.from_numpy(label)})
        images.append(changed["image"].as_tensor())
        labels.append(changed["label"].as_tensor()[0])
    return torch.stack(images), torch.stack(labels).long()


def draw_centres(prepared: Prepared, patch: PatchOptions, random: np.random.RandomState) -> list[tuple[int, ...]]:
    """Draw the centres of ``patch.per_case`` patches, as MONAI's RandCropByPosNegLabel does.

    A centre is any labelled voxel with probability positive / (positive + negative), else any unlabelled voxel of the
    body; it is then moved just so far that the patch lies inside the volume. A case without voxels of one kind gives
    patches of the other.
    """
    from monai.transforms.utils import generate_pos_neg_label_crop_centers

    foreground, background = prepared.foreground, prepared.background
    assert foreground is not None
    assert background is not None
    foreground, background = (foreground, background) if len(foreground) else (background, background)
    background = background if len(background) else foreground
    share = patch.positive / (patch.positive + patch.negative)
    shape = prepared.grid.prepared_shape
    return [
        tuple(int(i) for i in centre)
        for centre in generate_pos_neg_label_crop_centers(
            patch.size, patch.per_case, share, shape, foreground, background, random, allow_smaller=True
        )
    ]


def cut(array: np.ndarray, centre: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Cut a patch (C, *size) from (C, *S); where S is smaller, all of it is taken and zeros are put around it."""
    lengths = [min(p, s) for p, s in zip(size, array.shape[1:], strict=True)]
    starts = [c - n // 2 for c, n in zip(centre, lengths, strict=True)]
    window = array[(slice(None), *(slice(start, start + n) for start, n in zip(starts, lengths, strict=True)))]
    missing = [p - n for p, n in zip(size, lengths, strict=True)]
    return np.pad(window, [(0, 0), *((m // 2, m - m // 2) for m in missing)])


def _label(prepared: Prepared) -> np.ndarray:
    assert prepared.label is not None
    return prepared.label


def _augmentation(options: AugmentOptions) -> Any:
    from monai.transforms import (
        Compose,
        RandFlipd,
        RandRotate90d,
        RandScaleIntensityd,
        RandShiftIntensityd,
    )

    both = ("image", "label")
    scale, shift = options.scale_intensity, options.shift_intensity
    return Compose(
        [
            *(RandFlipd(both, prob=options.flip, spatial_axis=axis) for axis in range(3)),
            RandRotate90d(both, prob=options.rotate90, max_k=3, spatial_axes=(0, 1)),
            RandScaleIntensityd("image", factors=scale.range, prob=scale.probability),
            RandShiftIntensityd("image", offsets=shift.range, prob=shift.probability),
        ]
    )
