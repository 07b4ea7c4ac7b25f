"""From label maps to what they stand for, and back."""

from collections.abc import Collection

import numpy as np

from medvid.data.volumes.labels import LabelScheme
from medvid.plugin.info import UNKNOWN, none_of


def truth_of(label_map: np.ndarray, scheme: LabelScheme, drawn: Collection[str] | None = None) -> np.ndarray:
    """What voxels are annotated with.

    Args:
        label_map: (*S) uint8 ids, or the bits of overlapping structures; or values (V, *S), which stay as they are.
        scheme: what they stand for.
        drawn: the names of the labels that were drawn in this case; None: all of them.

    Returns:
        The ids themselves; signed, with `UNKNOWN` and what `medvid.plugin.info.none_of` makes, where some may be
        ignored or were not drawn. Of labels that may overlap (L, *S): 1 inside and 0 outside, uint8, or int8 with
        `UNKNOWN`.
    """
    if scheme.what == "value":
        return label_map
    if scheme.overlapping:
        bits = np.arange(len(scheme.names), dtype=label_map.dtype).reshape(-1, *[1] * label_map.ndim)
        return _unknown_where_undrawn((label_map >> bits & 1).astype(np.uint8), scheme, drawn)
    if scheme.what == "class" and scheme.ignore is None and drawn is None:
        return label_map
    return _table(scheme, drawn)[..., label_map]


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


def _table(scheme: LabelScheme, drawn: Collection[str] | None) -> np.ndarray:
    """By id, last axis, what it stands for."""
    ids = np.arange(scheme.ids)
    if scheme.what == "labels":
        inside = np.stack([np.isin(ids, of_region) for of_region in scheme.regions])
        table = _unknown_where_undrawn(inside.astype(np.uint8), scheme, drawn)
    else:
        nothing = 0 if drawn is None else none_of(scheme.names.index(name) for name in drawn)
        table = np.where(ids == 0, nothing, ids).astype(np.promote_types(np.int16, np.min_scalar_type(nothing)))
    if scheme.ignore is not None:
        table = table if table.dtype.kind == "i" else table.astype(np.int8)
        table[..., scheme.ignore] = UNKNOWN
    return table


def _unknown_where_undrawn(masks: np.ndarray, scheme: LabelScheme, drawn: Collection[str] | None) -> np.ndarray:
    if drawn is None:
        return masks
    masks = masks.astype(np.int8)
    masks[[name not in drawn for name in scheme.names]] = UNKNOWN
    return masks
