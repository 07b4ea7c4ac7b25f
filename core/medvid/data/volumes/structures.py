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
        Label ids (X, Y, Z) uint8, and which labels the file has.

    Raises:
        UnusableError: no structure is a label, two have the same label, or structures overlap.
    """
    ids, notes = _label_ids(volume.masks, names)
    data = np.array([0, *ids], np.uint8)[volume.data] if volume.data.ndim == 3 else _painted(volume, ids)
    found = tuple(names[label] for label in sorted(set(ids)) if label)
    return replace(volume, data=data, masks=(), has=found, notes=(*volume.notes, *notes))


def as_bits(volume: Volume, names: Sequence[str]) -> Volume:
    """Give a voxel the bits of all structures that it belongs to, bit 0 for the first name.

    Args:
        volume: with `masks`; or a mask for each name along the fourth axis, or a single one.
        names: of the structures.

    Returns:
        (X, Y, Z) unsigned integers, and which structures the file has.

    Raises:
        UnusableError: as `as_label_map`; or masks without names are not as many as these, or have other values.
    """
    numbers, notes = [*range(1, len(names) + 1)], list[str]()
    if volume.masks:
        numbers, notes = _label_ids(volume.masks, ("", *names))
    elif volume.channels_last.shape[3] != len(names):
        raise UnusableError(
            f"has the shape {volume.data.shape}: {len(names)} masks along the fourth axis are needed, of "
            f"{listed(names)}"
        )
    elif not np.isin(volume.data, (0, 1)).all():
        raise UnusableError("has other values than 0 and 1, so it is not a mask for each structure")
    bits = np.zeros(volume.data.shape[:3], np.min_scalar_type((1 << len(names)) - 1))
    for place, number in enumerate(numbers):
        if number:
            inside = volume.data == place + 1 if _is_numbered(volume) else volume.channels_last[..., place] >= _HALF
            bits[inside] |= bits.dtype.type(1 << number - 1)
    found = tuple(names[number - 1] for number in sorted(numbers) if number)
    return replace(volume, data=bits, masks=(), has=found, notes=(*volume.notes, *notes))


def _is_numbered(volume: Volume) -> bool:
    """Whether its voxels have the number of their structure."""
    return bool(volume.masks) and volume.data.ndim == 3


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
