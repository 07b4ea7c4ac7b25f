"""From ids in label maps to what they stand for, and back."""

import numpy as np

from medvid.data.volumes.labels import LabelScheme
from medvid.plugin.info import UNKNOWN


def truth_of(label_map: np.ndarray, scheme: LabelScheme) -> np.ndarray:
    """What voxels are annotated with.

    Args:
        label_map: (*S) uint8 ids.
        scheme: what they stand for.

    Returns:
        The ids themselves; int16 with `UNKNOWN` where some may be ignored. Of regions (L, *S): 1 inside and 0 outside,
        uint8, or int8 with `UNKNOWN`.
    """
    return label_map if not scheme.regions and scheme.ignore is None else _table(scheme)[..., label_map]


def is_annotated(label_map: np.ndarray, scheme: LabelScheme) -> np.ndarray | None:
    """Which voxels are not ignored, bool; None where none can be."""
    return None if scheme.ignore is None else label_map != scheme.ignore


def paint(masks: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    """One label map (*S) uint8 from masks (L, *S): each with its id, later ones over earlier ones."""
    label_map = np.zeros(masks.shape[1:], np.uint8)
    for mask, number in zip(masks, ids, strict=True):
        label_map[mask > 0] = number
    return label_map


def as_stored(label_map: np.ndarray, scheme: LabelScheme) -> np.ndarray:
    """A label map with the ids that files have."""
    return np.array(scheme.stored, np.uint8)[label_map] if scheme.stored else label_map


def _table(scheme: LabelScheme) -> np.ndarray:
    """By id, last axis, what it stands for."""
    table = np.arange(scheme.ids, dtype=np.int16)
    if scheme.regions:
        inside = [np.isin(table, ids) for ids in scheme.regions]
        table = np.stack(inside).astype(np.uint8 if scheme.ignore is None else np.int8)
    if scheme.ignore is not None:
        table[..., scheme.ignore] = UNKNOWN
    return table
