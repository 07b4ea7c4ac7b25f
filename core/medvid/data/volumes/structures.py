"""Named structures of a file, as segmentations of clinics have them, made the label map of a data set."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medvid.data.volumes.formats.format import UnusableError, Volume
from medvid.sentences import listed

_HALF = 0.5  # of a voxel: from here on it is part of a structure


def as_label_map(volume: Volume, names: Sequence[str]) -> Volume:
    """Give structures the ids of the labels of the same names; others are left out, and said.

    If no name is that of a label, and there are as many structures as labels, they are taken in their order.

    Args:
        volume: with `masks`.
        names: of the labels by id, the background first.

    Returns:
        Label ids (X, Y, Z) uint8.

    Raises:
        UnusableError: no structure is a label, two have the same label, or structures overlap.
    """
    ids, notes = _label_ids(volume.masks, names)
    data = np.array([0, *ids], np.uint8)[volume.data] if volume.data.ndim == 3 else _painted(volume, ids)
    return replace(volume, data=data, masks=(), notes=(*volume.notes, *notes))


def _label_ids(structures: Sequence[str], names: Sequence[str]) -> tuple[list[int], list[str]]:
    """The label id of each structure, 0 for those that are no labels, and what is to be said."""
    known = {_plain(name): label for label, name in enumerate(names) if label}
    ids = [known.get(_plain(name), 0) for name in structures]
    notes = []
    if not any(ids) and len(structures) == len(names) - 1:
        ids = list(range(1, len(names)))
        notes.append(f"has structures of other names, taken for the labels in their order: {listed(structures)}")
    elif structures and not any(ids):
        raise UnusableError(
            f"has the structures {listed(structures)}, none of which is a label of the data set: {listed(names[1:])}",
            "give dataset.labels the names of the structures",
        )
    elif others := [name for name, label in zip(structures, ids, strict=True) if not label]:
        notes.append(f"has structures that are no labels, which are left out: {listed(others)}")
    twice = [names[label] for label in sorted(set(ids)) if label and ids.count(label) > 1]
    if twice:
        raise UnusableError(f"has several structures named {listed(twice)}", "rename all but one of each")
    return ids, notes


def _painted(volume: Volume, ids: Sequence[int]) -> np.ndarray:
    labels = np.zeros(volume.data.shape[:3], np.uint8)
    owner = dict(zip(ids, volume.masks, strict=True))
    for number, label in enumerate(ids):
        if not label:
            continue
        mask = volume.data[..., number] >= _HALF
        if (shared := labels[mask] > 0).any():
            others = [owner[other] for other in np.unique(labels[mask][shared]).tolist()]
            raise UnusableError(
                f"has {int(shared.sum())} voxels of {owner[label]} that belong to {listed(others)} as well; a label "
                "map has one label per voxel",
                "give the labels as overlapping ones, or correct the file",
            )
        labels[mask] = label
    return labels


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()
