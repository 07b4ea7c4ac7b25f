"""Checkpoints that survive a kill at any instant, and are never loaded with other bytes than were written.

A checkpoint is a folder ``step-00000500/`` with safetensors files, ``state.json`` and ``manifest.json`` (size and
sha256 of each file). It is written under a temporary name, synced to disk, read back, and renamed; only then are older
ones dropped. So a folder with this name is complete, and the newest intact one is found without any pointer file.
What looks for one changes nothing; leftovers of a kill are deleted by the next save, or when a run is resumed.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medvid.errors import CheckpointError, ResourceError
from medvid.files import free_space, make_folder, remove_drafts, replace_folder, set_aside

logger = logging.getLogger("medvid")

MANIFEST = "manifest.json"
STATE = "state.json"
PREFIX = "step-"
_NAME = re.compile(rf"{PREFIX}\d{{8,}}")
_TENSORS = ".safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is saved: groups of tensors (``model``, ``optimizer``, ``ema``) and plain values."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint below folder and return its path; older ones are left alone.

    Raises:
        ResourceError: the disk is full or not writable; everything that was there before is intact.
        CheckpointError: what was read back differs from what was written.
    """
    path = checkpoint_path(folder, step)
    try:
        make_folder(folder, 0o700)
        with replace_folder(path) as draft:
            _write(draft, checkpoint)
            verify_checkpoint(draft)
            _discard(path)  # a run that fell back to an older checkpoint writes the damaged one again
    except (ResourceError, SafetensorError, OSError) as error:
        free = "" if isinstance(error, ResourceError) else f"; {free_space(folder) / 2**20:.1f} MiB are free there"
        raise ResourceError(
            f"cannot save the checkpoint of step {step} in {folder}: {error}{free}",
            hint="make room and continue with: platform run --resume RUN; earlier checkpoints are intact",
        ) from error
    return path


def _write(draft: Path, checkpoint: Checkpoint) -> None:
    for name, tensors in checkpoint.tensors.items():
        content = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        save_file(content, draft / f"{name}{_TENSORS}")
    (draft / STATE).write_text(json.dumps(checkpoint.state, indent=1), encoding="utf-8")
    files = sorted(draft.iterdir())
    manifest = {file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)} for file in files}
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def verify_checkpoint(path: Path) -> None:
    """Compare a checkpoint's files with its manifest.

    Raises:
        CheckpointError: a file is missing or has other bytes than were written, or the folder has another step's name.
    """
    for name, expected in _read_manifest(path).items():
        _verify(path / name, expected)
    read_state(path)


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 by name of file."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        described = (set(expected) == {"bytes", "sha256"} for expected in manifest.values())
        if not (STATE in manifest and all(described) and all(Path(name).name == name for name in manifest)):
            raise ValueError("it does not list files with their bytes and sha256")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {path} is incomplete or damaged: {path / MANIFEST}: {error}") from error
    return dict(manifest)


def _verify(file: Path, expected: Mapping[str, Any]) -> None:
    try:
        same = file.stat().st_size == expected["bytes"] and _sha256(file) == expected["sha256"]
    except OSError as error:
        raise CheckpointError(f"checkpoint {file.parent} is incomplete: {error}") from error
    if not same:
        raise CheckpointError(f"{file} differs from what was written")


def is_intact(path: Path) -> bool:
    """Whether a checkpoint is there with all its bytes."""
    try:
        verify_checkpoint(path)
    except CheckpointError:
        return False
    return True


def load_checkpoint(path: Path, *, is_verified: bool = False) -> Checkpoint:
    """Read a checkpoint after verifying it; tensors are on the CPU. Only files that its manifest names are read.

    Args:
        path: of the checkpoint.
        is_verified: its bytes were compared already, as `newest_intact` does.

    Raises:
        CheckpointError: as `verify_checkpoint`.
    """
    if not is_verified:
        verify_checkpoint(path)
    names = _read_manifest(path).keys()
    if strangers := sorted({file.name for file in path.iterdir()} - names - {MANIFEST}):
        logger.warning("checkpoint %s has files that are not part of it, and are not read: %s", path, strangers)
    tensors = {Path(name).stem: load_file(path / name) for name in sorted(names) if name.endswith(_TENSORS)}
    return Checkpoint(tensors=tensors, state=read_state(path))


def load_weights(model: nn.Module, path: Path, *, is_verified: bool = False) -> None:
    """Load a checkpoint's weights for inference, see `read_weights`.

    Args:
        model: what they are loaded into.
        path: of the checkpoint.
        is_verified: as for `load_checkpoint`.

    Raises:
        CheckpointError: it is damaged, or names or shapes differ from the model's.
    """
    load_model_state(model, read_weights(path, is_verified=is_verified), path)


def read_weights(path: Path, *, is_verified: bool = False) -> dict[str, Tensor]:
    """A checkpoint's weights by name: the averaged ones where the recipe asked for an average.

    Args:
        path: of the checkpoint.
        is_verified: as for `load_checkpoint`.

    Raises:
        CheckpointError: it is damaged.
    """
    tensors = load_checkpoint(path, is_verified=is_verified).tensors
    return {**tensors["model"], **tensors.get("ema", {})}


def load_model_state(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load the weights of the checkpoint at path into the model that it was saved from.

    Raises:
        CheckpointError: names or shapes differ.
    """
    try:
        model.load_state_dict(dict(state))
    except RuntimeError as error:
        raise CheckpointError(
            f"checkpoint {path} does not fit the model: {error}", hint="was the task or a plugin changed since?"
        ) from error


def read_state(path: Path) -> dict[str, Any]:
    """The plain values of a checkpoint, after verifying their file.

    Raises:
        CheckpointError: it is damaged.
    """
    _verify(path / STATE, _read_manifest(path)[STATE])
    state: dict[str, Any] = json.loads((path / STATE).read_bytes())
    step = state.get("progress", {}).get("step")
    if step is not None and _NAME.fullmatch(path.name) and step != checkpoint_step(path):
        raise CheckpointError(f"checkpoint {path} was saved at step {step}, its name is another one's")
    return state


def best_step(folder: Path) -> int | None:
    """The step with the best validation figure, as the newest checkpoint knows it; None if there is none.

    Damaged weights do not matter. Where the newest checkpoint does not tell, one before it may know an earlier best:
    that is said in the log.
    """
    for path in reversed(checkpoints(folder)):
        try:
            best: int | None = read_state(path)["progress"]["best_step"]
        except CheckpointError as error:
            logger.warning("%s; which checkpoint is the best is taken from an older one", error)
        else:
            return best
    return None


def newest_intact(folder: Path) -> Path | None:
    """The newest checkpoint whose bytes are as written; damaged ones are named in the log.

    Raises:
        CheckpointError: there are checkpoints, but none is intact.
    """
    paths = checkpoints(folder)
    for path in reversed(paths):
        try:
            verify_checkpoint(path)
        except CheckpointError as error:
            logger.warning("%s; falling back to an older checkpoint", error)
            continue
        return path
    if paths:
        raise CheckpointError(
            f"none of the {len(paths)} checkpoints in {folder} is intact",
            hint="start again with: platform run TASK.yaml",
        )
    return None


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints below folder, oldest first."""
    paths = folder.glob(f"{PREFIX}*")
    return sorted((path for path in paths if _NAME.fullmatch(path.name) and path.is_dir()), key=checkpoint_step)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return folder / f"{PREFIX}{step:08d}"


def checkpoint_step(path: Path) -> int:
    """The optimizer step of a checkpoint, from its name."""
    return int(path.name.removeprefix(PREFIX))


def prune_checkpoints(folder: Path, keep: int, best: int | None) -> None:
    """Drop all but the newest `keep` checkpoints and that of step `best`, and what a kill left behind."""
    for path in checkpoints(folder)[:-keep]:
        if checkpoint_step(path) != best:
            _discard(path)
    tidy_checkpoints(folder)


def tidy_checkpoints(folder: Path) -> None:
    """Delete drafts, and what was left of a checkpoint that was being dropped, when a process was killed."""
    remove_drafts(folder)


def _discard(path: Path) -> None:
    shutil.rmtree(set_aside(path), ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
