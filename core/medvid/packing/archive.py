"""A packed model: one zip file with weights, task and card, each by its hash, and nothing that could be executed.

It is laid out as a run folder without what names cases or paths: ``resolved.yaml``, ``origin.json``, one checkpoint.
``manifest.json`` has the sha256 of every other member; what it does not name is refused.
"""

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medvid.errors import CheckpointError, DataError
from medvid.files import json_text, replace_file

FORMAT = 1
"""Version of the layout, in the manifest."""
MANIFEST = "manifest.json"
_MEMBER = re.compile(
    r"(resolved\.yaml|(origin|environment|postprocessing|profile|card)\.json|CARD\.md"
    r"|checkpoints/step-\d{8,}/(model\.safetensors|state\.json|manifest\.json))"
)
NAME = re.compile(r"\w[\w.-]*")
"""Of a model: that of a folder, and nothing that leads out of another one."""
_TIME = (1980, 1, 1, 0, 0, 0)
"""Of all members: the same content is the same file."""
_LARGEST_TEXT = 64 * 2**20
"""Bytes of a member that is not a file of tensors."""


def write_archive(path: Path, files: Mapping[str, Path], about: Mapping[str, Any]) -> str:
    """Write a packed model, whole or not at all.

    Args:
        path: of the zip file.
        files: what goes into it, by name of the member.
        about: what the manifest says besides: the model's name and what it needs.

    Returns:
        The sha256 of the file, by which a copy of it can be recognised.

    Raises:
        ResourceError: the disk is full or not writable.
    """
    hashes = {name: _sha256(file) for name, file in sorted(files.items())}
    manifest = {"format": FORMAT, **about, "sha256": hashes}
    with replace_file(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, _TIME), json_text(manifest, 1), zipfile.ZIP_DEFLATED)
        for name in hashes:
            info = zipfile.ZipInfo(name, _TIME)
            # Trained weights do not shrink.
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
            info.file_size = files[name].stat().st_size
            with files[name].open("rb") as source, archive.open(info, "w", force_zip64=True) as member:
                while block := source.read(2**20):
                    member.write(block)
    return _sha256(path)


def is_archive(path: Path) -> bool:
    """Whether a path is a zip file."""
    return path.is_file() and zipfile.is_zipfile(path)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a packed model.

    Raises:
        DataError: the file is not a packed model, or one of a later version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
        hashes = manifest["sha256"]
        named = isinstance(manifest["name"], str) and NAME.fullmatch(manifest["name"])
        if not (named and all(isinstance(value, str) for value in hashes.values())):
            raise ValueError("its manifest is incomplete")
    except (OSError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not a packed model: {error}", hint="make one: platform pack RUN -o model.zip"
        ) from error
    if manifest["format"] != FORMAT:
        raise DataError(
            f"{path} has the format {manifest['format']} of packed models; this version of medvid reads {FORMAT}",
            hint="use the version that it was made with, see its manifest.json",
        )
    return dict(manifest)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The run folder of a packed model, for the block, in a temporary folder.

    Raises:
        DataError: the file is not a packed model, or has members that do not belong into one.
        CheckpointError: a member has other bytes than were packed.
    """
    manifest = read_manifest(path)
    with tempfile.TemporaryDirectory(prefix="medvid-") as temporary, zipfile.ZipFile(path) as archive:
        folder = Path(temporary) / manifest["name"]
        _check_members(path, archive, manifest["sha256"])
        for name, expected in manifest["sha256"].items():
            _extract(archive, name, folder / name, expected, path)
        yield folder


def _check_members(path: Path, archive: zipfile.ZipFile, hashes: Mapping[str, str]) -> None:
    names = [info.filename for info in archive.infolist()]
    if sorted(names) != sorted([MANIFEST, *hashes]):
        raise DataError(f"{path} was changed: its members are not those of its manifest")
    if strangers := [name for name in hashes if not _MEMBER.fullmatch(name)]:
        raise DataError(f"{path} is not a packed model: {strangers[0]!r} does not belong into one")
    for info in archive.infolist():
        if info.file_size > _LARGEST_TEXT and not info.filename.endswith(".safetensors"):
            raise DataError(f"{path} is not a packed model: {info.filename} has {info.file_size} bytes")


def _extract(archive: zipfile.ZipFile, name: str, target: Path, expected: str, path: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), archive.getinfo(name).file_size
    try:
        with archive.open(name) as source, target.open("wb") as file:
            while (block := source.read(min(2**20, left + 1))) and left >= 0:
                digest.update(block)
                file.write(block)
                left -= len(block)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {name}: {error}", hint="copy it again") from error
    if digest.hexdigest() != expected:
        raise CheckpointError(f"{path} is damaged: {name} has other bytes than were packed", hint="copy it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
