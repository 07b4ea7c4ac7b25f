"""An entry of the cache: a folder with a .npy file for each array, and meta.json, which says what they are."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

from medvid.data.grid import Grid
from medvid.data.volumes.formats.format import Geometry
from medvid.data.volumes.locations import Locations
from medvid.data.volumes.preparation import Prepared, VolumePreparation
from medvid.data.volumes.voxels import VoxelSet
from medvid.digests import checksum_of_file

_ARRAYS = ("image", "label", "mask")
_VOXELS = ("foreground", "background")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an entry says of itself, without its arrays.

    Args:
        path: its folder.
        grid: of the case, see `Prepared`.
        geometry: likewise.
        notes: likewise.
        image: CRC-32 of the image's file.
    """

    path: Path
    grid: Grid
    geometry: Geometry
    notes: tuple[str, ...]
    image: int

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """That of an entry; None if it is missing, or a file of it is missing or has another size."""
        try:
            meta = _read_meta(path)
            if any((path / f"{name}.npy").stat().st_size != size for name, size in meta["sizes"].items()):
                return None
            grid, geometry = _grid(meta), Geometry.from_json(meta["geometry"])
            return cls(path, grid, geometry, tuple(meta["notes"]), meta["files"]["image"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def write_entry(folder: Path, case: str, prepared: Prepared, preparation: VolumePreparation) -> None:
    """Fill the folder of an entry."""
    arrays = {name: array for name in _ARRAYS if (array := getattr(prepared, name)) is not None}
    arrays |= {name: voxels.packed for name in _VOXELS if (voxels := getattr(prepared, name)) is not None}
    locations, lengths = _pack(prepared.locations)
    arrays |= locations
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    files = {name: folder / f"{name}.npy" for name in arrays}
    meta = {
        "case": case,
        "grid": asdict(prepared.grid),
        "geometry": prepared.geometry.as_json(),
        "drawn": prepared.drawn,
        "locations": lengths,
        "notes": prepared.notes,
        "preparation": preparation.settings,
        "versions": {name: version(name) for name in ("medvid", "monai", "nibabel", "torch")},
        "files": {name: checksum_of_file(path) for name, path in files.items()},
        "sizes": {name: path.stat().st_size for name, path in files.items()},
    }
    with (folder / "meta.json").open("w", encoding="utf-8") as file:
        json.dump(meta, file, indent=1)


def load_entry(path: Path) -> Prepared | None:
    """Map an entry into memory; None if it is missing or its files have the wrong size."""
    try:
        meta = _read_meta(path)
        arrays = {name: np.load(path / f"{name}.npy", "r", allow_pickle=False) for name in meta["files"]}
        grid, geometry, notes = _grid(meta), Geometry.from_json(meta["geometry"]), tuple(meta["notes"])
        locations, drawn = _unpack(arrays, meta["locations"]), meta.get("drawn")
        drawn = drawn if drawn is None else tuple(drawn)
        foreground, background = (VoxelSet(arrays.pop(name)) if name in arrays else None for name in _VOXELS)
        prepared = Prepared(
            grid=grid,
            geometry=geometry,
            foreground=foreground,
            background=background,
            locations=locations,
            drawn=drawn,
            notes=notes,
            **arrays,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return prepared if prepared.image.shape[1:] == grid.prepared_shape else None


def is_intact(path: Path) -> bool:
    """Whether an entry is there and every byte of its arrays is as written."""
    if load_entry(path) is None:
        return False
    return all(checksum_of_file(path / f"{name}.npy") == value for name, value in _read_meta(path)["files"].items())


def equal_images(entries: Mapping[str, Manifest]) -> dict[str, str]:
    """By case, a name shared by prepared cases with equal images, however their files were written.

    Args:
        entries: those of the cases.
    """
    names: dict[str, str] = {}
    seen: dict[int, list[tuple[str, Path]]] = {}
    for case, entry in entries.items():
        known = seen.setdefault(entry.image, [])
        same = next((name for name, other in known if _same_image(entry.path, other)), None)
        if same is None:
            known.append((case, entry.path))
        names[case] = same or case
    return names


def _grid(meta: Mapping[str, Any]) -> Grid:
    return Grid(**{key: tuple(value) for key, value in meta["grid"].items()})


def _pack(locations: Locations | None) -> tuple[dict[str, np.ndarray], dict[str, int] | None]:
    """Arrays of an entry, the structures one after the other, and the number of voxels of each."""
    if locations is None:
        return {}, None
    structures = locations.structures
    arrays = {"structures": np.concatenate([np.empty(0, np.uint32), *structures.values()])}
    if locations.annotated is not None:
        arrays["annotated"] = locations.annotated
    return arrays, {name: len(indices) for name, indices in structures.items()}


def _unpack(arrays: dict[str, np.ndarray], lengths: Mapping[str, int] | None) -> Locations | None:
    """Take the arrays of locations out of those of an entry."""
    if lengths is None:
        return None
    ends = np.cumsum(list(lengths.values()), dtype=int)
    parts = np.split(arrays.pop("structures"), ends[:-1])  # one too many where there are none
    return Locations(dict(zip(lengths, parts, strict=False)), arrays.pop("annotated", None))


def _same_image(one: Path, other: Path) -> bool:
    """Whether two entries with equal checksums of their images have the same image."""
    first, second = (np.load(path / "image.npy", "r", allow_pickle=False) for path in (one, other))
    return one == other or np.array_equal(first, second)


def _read_meta(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "meta.json").read_text(encoding="utf-8")))
