"""Where each class or region lies in a prepared case, so that patches can be centred on any of them alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medvid.data.volumes.labels import LabelScheme

_SEED = 1234
_MOST = 10_000
_SHARE = 100


@dataclass(frozen=True, slots=True)
class Locations:
    """Voxels of a prepared case as flat indices (uint32, C order), drawn without replacement and in random order.

    Args:
        structures: of each class (without the background) or region that occurs, by name, in the order of the labels.
        annotated: of all voxels that are not ignored; None where none can be.
    """

    structures: dict[str, np.ndarray]
    annotated: np.ndarray | None = None


def locate(label_map: np.ndarray, scheme: LabelScheme) -> Locations:
    """Draw voxels of each structure: up to 10 000, or 1 % where that is more; the same ones each time.

    As nnU-Net (Isensee et al., 2021, doi:10.1038/s41592-020-01008-z; release 2) keeps them with a prepared case.

    Args:
        label_map: (*S) label ids, or bits of structures that may overlap.
        scheme: what they stand for.
    """
    random = np.random.RandomState(_SEED)
    drawn = {name: _draw(_voxels(label_map, name, scheme), random) for name in scheme.foreground}
    annotated = None if scheme.ignore is None else _draw(_of_ids(label_map, range(scheme.known)), random)
    return Locations({name: indices for name, indices in drawn.items() if len(indices)}, annotated)


def _voxels(label_map: np.ndarray, name: str, scheme: LabelScheme) -> np.ndarray:
    if scheme.overlapping:
        return np.flatnonzero(label_map >> scheme.names.index(name) & 1).astype(np.uint32)
    return _of_ids(label_map, scheme.ids_of(name))


def _of_ids(label_map: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    return np.concatenate([np.flatnonzero(label_map == number).astype(np.uint32) for number in ids])


def _draw(found: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    count = min(len(found), max(_MOST, -(-len(found) // _SHARE)))
    return found[random.choice(len(found), count, replace=False)] if count else found
