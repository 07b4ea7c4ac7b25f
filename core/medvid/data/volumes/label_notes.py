"""What is odd about a case's label map, before and after it was prepared."""

import numpy as np

from medvid.data.volumes.labels import LabelScheme


def count_labels(labels: np.ndarray) -> np.ndarray:
    """Voxels per label id, (256,), of a uint8 label map."""
    return np.bincount(labels.ravel(order="K"), minlength=256)


def notes_on_labels(native: np.ndarray, prepared: np.ndarray, scheme: LabelScheme) -> tuple[str, ...]:
    """Ends of sentences that begin with the case: an empty map, labels that are lost, and what nobody annotated.

    Args:
        native: label ids as in the file, uint8; or bits of structures.
        prepared: and as a model sees them.
        scheme: what they stand for.
    """
    if scheme.overlapping:
        return _notes_on_structures(native, prepared, scheme)
    before, after = count_labels(native), count_labels(prepared)
    unknown = _note_on_unknown(before, after, scheme)
    known = slice(1, scheme.known)
    if not before[known].any():
        return ("its label map is empty", *unknown)
    lost = np.flatnonzero((before > 0)[: scheme.known] & (after == 0)[: scheme.known]).tolist()
    return (*((f"its label {', '.join(map(str, lost))} vanishes at this spacing",) if lost else ()), *unknown)


def _notes_on_structures(native: np.ndarray, prepared: np.ndarray, scheme: LabelScheme) -> tuple[str, ...]:
    if not native.any():
        return ("its label map is empty",)
    before, after = (int(np.bitwise_or.reduce(bits, axis=None)) for bits in (native, prepared))
    lost = [name for number, name in enumerate(scheme.names) if before & ~after & 1 << number]
    return (f"its {', '.join(lost)} vanishes at this spacing",) if lost else ()


def _note_on_unknown(before: np.ndarray, after: np.ndarray, scheme: LabelScheme) -> tuple[str, ...]:
    """Say how many voxels nobody annotated, in whole percent, so that cases can be named together."""
    if scheme.ignore is None or not before[scheme.ignore]:
        return ()
    share = before[scheme.ignore] / before.sum()
    rest = "" if after[: scheme.known].any() else ", and it has no part in the training"
    return (f"nobody annotated {share:.0%} of its voxels (label {scheme.ignore}, ignore){rest}",)
