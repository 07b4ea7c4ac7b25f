"""What a case is annotated with: a label map, a file of named structures, or a folder with a file for each."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import Geometry, UnusableError, Volume
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.structures import as_bits, as_label_map
from medvid.errors import DataError
from medvid.sentences import listed


def read_annotation(
    formats: Formats, path: Path, case: str, scheme: LabelScheme, image: Geometry | None = None
) -> Volume:
    """Read the annotation of a case as label ids, or as the bits of structures that may overlap; or as values.

    Args:
        formats: the enabled ones.
        path: a file; or a folder with a file for each structure, named after it.
        case: the case that the error names.
        scheme: what is annotated.
        image: where the image lies, for files that have no grid of their own.

    Returns:
        (X, Y, Z), and which labels it says anything of; of values (X, Y, Z, V).

    Raises:
        DataError: as `reading.read_labels` or `reading.read_values`; or structures are not those of the data set.
    """
    if scheme.what == "value":
        return reading.read_values(formats, path, case, scheme.names)
    if formats.has_structures(path):
        volume = _read_structures(formats, path, case)
    elif scheme.overlapping:
        volume = reading.read_any(formats, path, case, image)
    else:
        return reading.read_labels(formats, path, case, scheme.ids, scheme.names_of_ids, image, scheme.stored)
    try:
        return as_bits(volume, scheme.names) if scheme.overlapping else as_label_map(volume, scheme.names_of_ids)
    except UnusableError as error:
        raise DataError(f"case {case}: {path} {error}", hint=error.hint) from None


def drawn_in(
    annotation: Volume, scheme: LabelScheme, declared: tuple[str, ...] | None, case: str
) -> tuple[str, ...] | None:
    """The names of the labels that were drawn in a case; None: all of them.

    Args:
        annotation: of the case.
        scheme: what is annotated.
        declared: those that the list of cases gives; None: it says nothing.
        case: the case that the error names.

    Raises:
        DataError: the annotation has voxels of others, or not the file of one that was drawn.
    """
    has = annotation.has if scheme.lacking == "undrawn" else None
    drawn = has if declared is None else declared
    if drawn is None or set(drawn) == set(scheme.foreground):
        return None
    if declared is not None and has is not None and (lacking := [name for name in declared if name not in has]):
        raise DataError(f"case {case}: {listed(lacking)} should be drawn, but its annotation has only {listed(has)}")
    if others := _undrawn(annotation.data, scheme, drawn):
        raise DataError(
            f"case {case} has voxels of {listed(others)}, which nobody drew in it: the list of cases gives "
            f"{listed(drawn) or 'nothing'}",
            hint="correct the list, or the annotation",
        )
    return drawn


def _undrawn(label_map: np.ndarray, scheme: LabelScheme, drawn: tuple[str, ...]) -> list[str]:
    """What a label map has voxels of, that are part of nothing that was drawn."""
    if scheme.overlapping:
        bits = int(np.bitwise_or.reduce(label_map, axis=None))
        return [name for number, name in enumerate(scheme.names) if bits >> number & 1 and name not in drawn]
    possible = {0, scheme.ignore, *(number for name in drawn for number in scheme.ids_of(name))}
    ids = np.flatnonzero(np.bincount(label_map.ravel(order="K"))).tolist()
    return [
        scheme.names[number] if not scheme.regions else f"label {number}" for number in ids if number not in possible
    ]


def _read_structures(formats: Formats, path: Path, case: str) -> Volume:
    """The masks of a folder, (X, Y, Z, N) and their names; they have to lie on one another."""
    files = formats.volumes_in(path)
    names = [formats.stem(file) for file in files]
    first, *others = (
        reading.read_labels(formats, file, case, 2, ("background", name))
        for file, name in zip(files, names, strict=True)
    )
    volumes = [first, *(reading.align(first, other, case, f"{path.name}: a structure") for other in others)]
    notes = dict.fromkeys(note for volume in volumes for note in volume.notes)
    return replace(
        first, data=np.stack([volume.data for volume in volumes], axis=3), masks=tuple(names), notes=(*notes,)
    )
