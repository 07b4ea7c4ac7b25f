"""What the files of cases hold, as hashes: which entry of the cache is theirs, and whether they are copies."""

import gzip
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medvid.data.dataset import Progress
from medvid.data.file_hashes import FileHashes, Hash
from medvid.data.problems import raise_together
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import Format
from medvid.data.volumes.reading import files_of, files_of_labels
from medvid.digests import checksum_of_file, digest_of, digest_of_files
from medvid.errors import DataError
from medvid.machine import usable_cores
from medvid.plugin.installed import version_behind

_BEGINNING = 1 << 20
"""Bytes at the beginning of a file's content that enter `stored_content`, besides the checksum of all."""


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


def fingerprint(files: CaseFiles, formats: Formats, hash_files: Hash = digest_of_files) -> Fingerprint:
    """Hash the content of all files that a case is read from.

    Args:
        files: of the case.
        formats: what they are read by.
        hash_files: hashes the content of several files.

    Raises:
        DataError: a file cannot be read.
    """
    labels = formats.maps_of(files.label) if files.label else ()
    images = [file for path in files.images for file in files_of(formats, path, files.id)]
    maps = files_of_labels(formats, files.label, files.id) if files.label else ()
    try:
        read_by = (*map(formats.of_image, files.images), *map(formats.of, labels))
        label = hash_files(maps) if maps else ""
        # What decides besides the content: the names of structures that are files, and what was drawn.
        named = [formats.stem(path) for path in labels] if labels != (files.label,) else []
        if label and (named or files.drawn is not None):
            label = digest_of(json.dumps([label, named, files.drawn]).encode())
        return Fingerprint(hash_files(images), label, tuple(map(_name, read_by)))
    except OSError as error:
        raise DataError(f"case {files.id}: {error.filename} cannot be read: {error.strerror}") from error


def _name(one: Format) -> str:
    return f"{one.options.name} {version_behind(type(one).__module__.partition('.')[0])}".rstrip()


class Contents:
    """The hashes of a data set's cases. Files whose state is as it was are not read, see `FileHashes`.

    Args:
        cache: folder of the cache.
        root: the data set's folder.
    """

    def __init__(self, cache: Path, root: Path) -> None:
        self._hashes = FileHashes(cache, root)
        self._found: dict[str, Fingerprint] = {}

    @property
    def images(self) -> dict[str, str]:
        """The hash of the images of each case that was looked at."""
        return {case: found.image for case, found in self._found.items()}

    def of(self, files: CaseFiles, formats: Formats) -> Fingerprint:
        """Of one case. Found once, and sent to loader processes, so that they need not look at its files."""
        if files.id not in self._found:
            self._found[files.id] = self._look(files, formats)
        return self._found[files.id]

    def find(self, cases: Sequence[CaseFiles], formats: Formats) -> dict[str, Fingerprint]:
        """Those of cases as their files are now, by id.

        Raises:
            DataError: a file cannot be read.
        """
        with ThreadPoolExecutor(usable_cores() + 4) as pool:  # hashing releases the interpreter's lock
            looked_at = pool.map(partial(self._look, formats=formats), cases)
            found = dict(zip([files.id for files in cases], looked_at, strict=True))
        self._found |= found
        return found

    def stored(self, files: CaseFiles, formats: Formats) -> str:
        """The content of a case's images, compressed or not, see `stored_content`.

        Raises:
            DataError: a file cannot be read.
        """
        try:
            return self._hashes.of(
                stored_content, [file for path in files.images for file in files_of(formats, path, files.id)]
            )
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"case {files.id}: {files.images[0]} cannot be read: {error}") from error

    def _look(self, files: CaseFiles, formats: Formats) -> Fingerprint:
        return fingerprint(files, formats, partial(self._hashes.of, digest_of_files))

    def reread(self, cases: Sequence[CaseFiles], formats: Formats, progress: Progress) -> None:
        """Read the files of cases whatever is known of them.

        Raises:
            DataError: a file cannot be read, or holds something else than before, although its state is the same.
        """
        errors = []
        for done, files in enumerate(cases, start=1):
            try:
                self._found[files.id] = fingerprint(files, formats, partial(self._hashes.reread, digest_of_files))
            except DataError as error:
                errors.append(error)
            progress(done, len(cases))
        raise_together(errors)


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
        digest.update(
            _gzip_end(path) if packed else struct.pack("<2I", checksum_of_file(path), path.stat().st_size % 2**32)
        )
    return digest.hexdigest()


def _gzip_end(path: Path) -> bytes:
    """CRC-32 and length modulo 2^32 of the content, as stored by gzip."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        return file.read()
