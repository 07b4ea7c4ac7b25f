"""The arrays of a published .npz file, unpacked once into the cache, where processes map them."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medvid.data.cache_folder import entry_path, lease, make_cache, touch
from medvid.digests import digest_of
from medvid.errors import DataError, ResourceError
from medvid.files import make_folder, replace_folder

PARTS = {"train": "train", "validation": "val", "test": "test"}
"""Prefixes of the arrays of each split."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An .npz file and its entry in the cache.

    Args:
        path: the file.
        cache: folder of the cache.
    """

    path: Path
    cache: Path

    def unpack(self) -> None:
        """Write the arrays into the cache, unless they are there.

        Raises:
            DataError: the file cannot be read, or lacks an array.
            ResourceError: the cache cannot be written.
        """
        entry = self._entry()
        make_cache(self.cache)
        lease(self.cache, [entry])
        touch(entry)
        if entry.is_dir():
            return
        make_folder(entry.parent, 0o700)
        with replace_folder(entry, 0o700) as draft:
            for split in PARTS:
                for kind in ("images", "labels"):
                    np.save(draft / f"{split}_{kind}.npy", self._read(split, kind), allow_pickle=False)

    def array(self, split: str, kind: str) -> np.ndarray:
        """Images or labels of a split: mapped from the cache, else read from the file.

        Raises:
            DataError: the file cannot be read, or lacks the array.
        """
        path = self._entry() / f"{split}_{kind}.npy"
        return np.load(path, "r", allow_pickle=False) if path.is_file() else self._read(split, kind)

    def _entry(self) -> Path:
        try:
            state = self.path.stat()
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be read: {error.strerror}",
                hint="download it from zenodo.org/records/10519652, or set dataset.root, flag and resolution",
            ) from None
        content = f"medmnist\0{self.path.absolute()}\0{state.st_size}\0{state.st_mtime_ns}"
        return entry_path(self.cache, digest_of(content.encode()))

    def _read(self, split: str, kind: str) -> np.ndarray:
        name = f"{PARTS[split]}_{kind}"
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                if name not in arrays:
                    raise DataError(f"{self.path} has no array {name}; it has {', '.join(arrays)}")
                return np.asarray(arrays[name])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, ResourceError):
                raise
            raise DataError(f"{self.path} cannot be read: {error}", hint="download it again") from error
