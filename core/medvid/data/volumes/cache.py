"""Prepared cases on disk, found by their content: a changed file or setting makes a new entry, all others stay.

An entry is a folder of .npy files that are mapped into memory, so that reading a patch costs a patch, not a volume.
It appears by a rename when it is complete, and any number of processes can build the same one.
"""

import errno
import gzip
import hashlib
import json
import multiprocessing
import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medvid.data.cache_folder import entry_path, lease, make_cache, tidy, touch
from medvid.data.dataset import Progress
from medvid.data.grid import Grid
from medvid.data.problems import raise_together, say_together
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import Format, Geometry
from medvid.data.volumes.locations import Locations
from medvid.data.volumes.preparation import Prepared, VolumePreparation
from medvid.data.volumes.reading import files_of, files_of_labels
from medvid.digests import digest_of, digest_of_files
from medvid.errors import DataError, ResourceError
from medvid.files import make_folder, replace_folder
from medvid.machine import usable_cores, usable_memory
from medvid.plugin.installed import version_behind

FORMAT = 4
"""Increase this when entries of older code must no longer be used."""

_ARRAYS = ("image", "label", "foreground", "background", "mask")
_BEGINNING = 1 << 20
"""Bytes at the beginning of a file's content that enter its hash, besides the checksum of all."""
_PARALLEL_BYTES = 64 << 20  # less than this is prepared before processes have started
PROCESS_BYTES = 3 << 30
"""Memory that preparing a CT scan of 512 x 512 x 150 takes, rounded up."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The content of a case's files, independent of their names.

    Args:
        image: its hash; 32 hex digits.
        label: likewise, with what was drawn if that is said; empty without a label.
        formats: names of those that the files are read by, with the version of the plugin unless it is medvid's own.
    """

    image: str
    label: str
    formats: tuple[str, ...]


def fingerprint(files: CaseFiles, formats: Formats) -> Fingerprint:
    """Hash the content of all files that a case is read from.

    Raises:
        DataError: a file cannot be read.
    """
    labels = formats.maps_of(files.label) if files.label else ()
    images = [file for path in files.images for file in files_of(formats, path, files.id)]
    maps = files_of_labels(formats, files.label, files.id) if files.label else ()
    try:
        read_by = (*map(formats.of_image, files.images), *map(formats.of, labels))
        label = digest_of_files(maps) if maps else ""
        # What decides besides the content: the names of structures that are files, and what was drawn.
        named = [formats.stem(path) for path in labels] if labels != (files.label,) else []
        if label and (named or files.drawn is not None):
            label = digest_of(json.dumps([label, named, files.drawn]).encode())
        return Fingerprint(digest_of_files(images), label, tuple(map(_name, read_by)))
    except OSError as error:
        raise DataError(f"case {files.id}: {error.filename} cannot be read: {error.strerror}") from error


def _name(one: Format) -> str:
    return f"{one.options.name} {version_behind(type(one).__module__.partition('.')[0])}".rstrip()


@dataclass(frozen=True, slots=True)
class VolumeCache:
    """The entries below a folder that were prepared with the same settings.

    Args:
        folder: the cache's folder; made on use, readable by its user only.
        preparation: the settings.
    """

    folder: Path
    preparation: VolumePreparation

    def path(self, content: Fingerprint) -> Path:
        """The path of this content's entry, built or not."""
        settings = json.dumps([FORMAT, self.preparation.settings, asdict(content)], sort_keys=True)
        key = digest_of(settings.encode())
        return entry_path(self.folder, key)

    def read(self, files: CaseFiles, content: Fingerprint) -> Prepared:
        """Map an entry into memory, building it if it is missing or damaged."""
        path = self.path(content)
        touch(path)
        prepared = _load(path)
        if prepared is None:
            self.build(files, path)
            prepared = _load(path)
        if prepared is None:
            raise ResourceError(f"the cache entry {path} of case {files.id} cannot be read back")
        return prepared

    def prepare(self, cases: Mapping[CaseFiles, Fingerprint], progress: Progress) -> tuple[str, ...]:
        """Build missing or damaged entries, and protect all of them from pruning.

        Returns:
            The notes of all cases, each once with its cases.

        Raises:
            DataError: one or more cases cannot be prepared.
            ResourceError: the cache cannot be written to.
        """
        make_cache(self.folder)
        tidy(self.folder)
        paths = {files: self.path(content) for files, content in cases.items()}
        lease(self.folder, paths.values())
        for path in paths.values():
            touch(path)
        todo = {files: path for files, path in paths.items() if not _is_intact(path)}
        done = len(cases) - len(todo)
        progress(done, len(cases))
        errors: dict[str, DataError] = {}
        for files, error in _run(self, todo):
            done += 1
            progress(done, len(cases))
            if error is not None:
                errors[files.id] = error
        raise_together([errors[files.id] for files in todo if files.id in errors])
        return say_together({files.id: _read_meta(path)["notes"] for files, path in paths.items()})

    def equal_images(self, cases: Mapping[str, Fingerprint]) -> dict[str, str]:
        """By case, a name shared by prepared cases with equal images, however their files were written.

        Args:
            cases: prepared cases, with the content of their files.
        """
        names: dict[str, str] = {}
        seen: dict[int, list[tuple[str, Path]]] = {}
        for case, content in cases.items():
            path = self.path(content)
            known = seen.setdefault(_read_meta(path)["files"]["image"], [])
            same = next((name for name, other in known if _same_image(path, other)), None)
            if same is None:
                known.append((case, path))
            names[case] = same or case
        return names

    def build(self, files: CaseFiles, path: Path) -> None:
        """Prepare a case and put its entry in place, complete or not at all.

        Raises:
            DataError: the case cannot be prepared.
            ResourceError: the disk is full, or the cache cannot be written to.
        """
        prepared = self.preparation.prepare(files)
        try:
            make_cache(self.folder)
            make_folder(path.parent, 0o700)
            if path.exists() and not _is_intact(path):
                shutil.rmtree(path, ignore_errors=True)
            with replace_folder(path, 0o700) as draft:
                _write(draft, files, prepared, self.preparation)
        except ResourceError as error:
            error.hint = "free space with `platform cache prune`, or choose another folder with dataset.cache"
            raise
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:  # another process has built it meanwhile
                raise


def stored_content(paths: Sequence[Path]) -> str:
    """A hash of the content of files, compressed or not; 32 hex digits.

    For compressed files it uses the checksum and length at their end, and the beginning: reading all would take long.

    Raises:
        OSError, EOFError, zlib.error: a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            digest.update(file.read(_BEGINNING))
        digest.update(_gzip_end(path) if packed else struct.pack("<2I", _checksum(path), path.stat().st_size % 2**32))
    return digest.hexdigest()


def _gzip_end(path: Path) -> bytes:
    """CRC-32 and length modulo 2^32 of the content, as stored by gzip."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        return file.read()


def _run(cache: VolumeCache, todo: Mapping[CaseFiles, Path]) -> Iterator[tuple[CaseFiles, DataError | None]]:
    """Build entries one after the other, or in processes if that pays for starting them."""
    size = sum(path.stat().st_size for files in todo for path in files.images)
    cores = usable_cores()
    workers = min(cores, len(todo), usable_memory() // PROCESS_BYTES)
    if workers < 2 or size < _PARALLEL_BYTES:
        for files, path in todo.items():
            yield files, _try_build(cache, files, path)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, torch.set_num_threads, (max(1, cores // workers),))
    try:
        futures = {pool.submit(_try_build, cache, files, path): files for files, path in todo.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise ResourceError(
            "a process that prepares cases was killed, most likely because memory ran out",
            hint="run again: prepared cases are kept; a larger dataset.spacing needs less memory",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _try_build(cache: VolumeCache, files: CaseFiles, path: Path) -> DataError | None:
    try:
        cache.build(files, path)
    except DataError as error:
        return error
    return None


def _write(folder: Path, files: CaseFiles, prepared: Prepared, preparation: VolumePreparation) -> None:
    arrays = {name: array for name in _ARRAYS if (array := getattr(prepared, name)) is not None}
    locations, lengths = _pack(prepared.locations)
    arrays |= locations
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    meta = {
        "case": files.id,
        "grid": asdict(prepared.grid),
        "geometry": prepared.geometry.as_json(),
        "drawn": prepared.drawn,
        "locations": lengths,
        "notes": prepared.notes,
        "preparation": preparation.settings,
        "versions": {name: version(name) for name in ("medvid", "monai", "nibabel", "torch")},
        "files": {name: _checksum(folder / f"{name}.npy") for name in arrays},
    }
    with (folder / "meta.json").open("w", encoding="utf-8") as file:
        json.dump(meta, file, indent=1)


def _load(path: Path) -> Prepared | None:
    """Map an entry; None if it is missing or its files have the wrong size."""
    try:
        meta = _read_meta(path)
        arrays = {name: np.load(path / f"{name}.npy", "r", allow_pickle=False) for name in meta["files"]}
        grid = Grid(**{key: tuple(v) for key, v in meta["grid"].items()})
        geometry, notes = Geometry.from_json(meta["geometry"]), tuple(meta["notes"])
        locations, drawn = _unpack(arrays, meta["locations"]), meta.get("drawn")
        drawn = drawn if drawn is None else tuple(drawn)
        prepared = Prepared(grid=grid, geometry=geometry, locations=locations, drawn=drawn, notes=notes, **arrays)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return prepared if prepared.image.shape[1:] == grid.prepared_shape else None


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


def _is_intact(path: Path) -> bool:
    """Whether an entry can be loaded and every byte of it is as written."""
    if _load(path) is None:
        return False
    return all(_checksum(path / f"{name}.npy") == value for name, value in _read_meta(path)["files"].items())


def _read_meta(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "meta.json").read_text(encoding="utf-8")))


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value
