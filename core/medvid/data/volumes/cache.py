"""Prepared cases on disk, found by their content: a changed file or setting makes a new entry, all others stay.

An entry is a folder of .npy files that are mapped into memory, so that reading a patch costs a patch, not a volume.
It appears by a rename when it is complete, and any number of processes can build the same one.
"""

import errno
import json
import multiprocessing
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from medvid.data.cache_folder import entry_path, lease, make_cache, tidy, touch
from medvid.data.dataset import Progress
from medvid.data.problems import raise_together
from medvid.data.volumes.content import Fingerprint
from medvid.data.volumes.entry import Manifest, is_intact, load_entry, write_entry
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.preparation import Prepared, VolumePreparation
from medvid.digests import digest_of
from medvid.errors import DataError, ResourceError
from medvid.files import make_folder, replace_folder, set_aside
from medvid.machine import usable_cores, usable_memory

FORMAT = 5
"""Increase this when entries of older code must no longer be used."""

_PARALLEL_BYTES = 64 << 20  # less than this is prepared before processes have started
PROCESS_BYTES = 3 << 30
"""Memory that preparing a CT scan of 512 x 512 x 150 takes, rounded up."""


@dataclass(frozen=True, slots=True)
class VolumeCache:
    """The entries below a folder that were prepared with the same settings.

    Args:
        folder: the cache's folder; made on use, readable by its user only.
        preparation: the settings.
    """

    folder: Path
    preparation: VolumePreparation
    _compared: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """Names of the entries that this process has compared with their checksums."""

    def path(self, content: Fingerprint) -> Path:
        """The path of this content's entry, built or not."""
        settings = json.dumps([FORMAT, self.preparation.settings, asdict(content)], sort_keys=True)
        key = digest_of(settings.encode())
        return entry_path(self.folder, key)

    def read(self, files: CaseFiles, content: Fingerprint) -> Prepared:
        """Map an entry into memory, building it if it is missing or damaged.

        Every byte of it is compared with its checksum when a process first reads it.
        """
        path = self.path(content)
        touch(path)
        prepared = load_entry(path) if path.name in self._compared or is_intact(path) else None
        if prepared is None:
            self.build(files, path)
            prepared = load_entry(path)
        if prepared is None:
            raise ResourceError(f"the cache entry {path} of case {files.id} cannot be read back")
        self._compared.add(path.name)
        return prepared

    def prepare(self, cases: Mapping[CaseFiles, Fingerprint], progress: Progress) -> dict[str, Manifest]:
        """Build missing or incomplete entries, and protect all of them from pruning.

        Returns:
            What all entries say of themselves, by the ids of their cases.

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
        found = {files: entry for files, path in paths.items() if (entry := Manifest.read(path))}
        todo = {files: path for files, path in paths.items() if files not in found}
        done = len(found)
        progress(done, len(cases))
        errors: dict[str, DataError] = {}
        for files, error in _run(self, todo):
            done += 1
            progress(done, len(cases))
            if error is not None:
                errors[files.id] = error
        raise_together([errors[files.id] for files in todo if files.id in errors])
        return {files.id: found.get(files) or _manifest(path, files) for files, path in paths.items()}

    def remove_damaged(self, content: Fingerprint) -> bool:
        """Remove an entry that is not as it was written; returns whether there was one."""
        path = self.path(content)
        if not path.exists() or is_intact(path):
            return False
        shutil.rmtree(set_aside(path), ignore_errors=True)
        return True

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
            if path.exists() and not is_intact(path):
                shutil.rmtree(path, ignore_errors=True)
            with replace_folder(path, 0o700) as draft:
                write_entry(draft, files.id, prepared, self.preparation)
        except ResourceError as error:
            error.hint = "free space with `platform cache prune`, or choose another folder with dataset.cache"
            raise
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:  # another process has built it meanwhile
                raise


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


def _manifest(path: Path, files: CaseFiles) -> Manifest:
    """That of an entry that was just built."""
    if (entry := Manifest.read(path)) is None:
        raise ResourceError(f"the cache entry {path} of case {files.id} cannot be read back")
    return entry
