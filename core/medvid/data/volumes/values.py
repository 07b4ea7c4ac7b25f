"""Maps of values, such as a dose: numbers (V, *S) float32 for each voxel, NaN where a value is not known."""

from collections.abc import Callable, Sequence

import numpy as np

_TOUCHED = 1e-4
"""Weight of unknown voxels from which on what is interpolated between them is unknown; less is rounding."""


def resampled(values: np.ndarray, resample: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Values at other places; what is interpolated from any unknown one is unknown.

    Args:
        values: (V, *S).
        resample: maps numbers (V, *S) to those at the other places, by weights that add up to 1.
    """
    known = ~np.isnan(values)
    numbers, weight = resample(np.where(known, values, 0)), resample(known.astype(np.float32))
    least = 1 - _TOUCHED
    return np.where(weight < least, np.nan, numbers / np.maximum(weight, least)).astype(np.float32)


def known_voxels(values: np.ndarray) -> np.ndarray:
    """Whether any value of a voxel is known, (*S) bool."""
    return np.asarray(~np.isnan(values).all(axis=0))


def notes_on_values(native: np.ndarray, prepared: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    """Ends of sentences that begin with the case: values that are nowhere known, or constant.

    Args:
        native: (X, Y, Z, V) as in the file.
        prepared: (V, *S) as a model sees them.
        names: of the V values.
    """
    return tuple(
        note for number, name in enumerate(names) if (note := _note(native[..., number], prepared[number], name))
    )


def _note(native: np.ndarray, prepared: np.ndarray, name: str) -> str:
    known = native[~np.isnan(native)]
    if not len(known):
        return f"its {name} is not known anywhere"
    if np.isnan(prepared).all():
        return f"its {name} is not known in what is left of it after cropping and resampling"
    return f"its {name} is {known[0]:g} wherever it is known" if (known == known[0]).all() else ""
