"""Checkpoints that survive a kill at any instant, and are never loaded with other bytes than were written.

A checkpoint is a folder ``step-00000500/`` with safetensors files, ``state.json`` and ``manifest.json`` (size and
sha256 of each file). It is written under a temporary name, synced to disk, read back, and renamed; only then are older
ones dropped. So a folder with this name is complete, and the newest intact one is found without any pointer file.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medvid.errors import CheckpointError, ResourceError

logger = logging.getLogger("medvid")

MANIFEST = "manifest.json"
STATE = "state.json"
PREFIX = "step-"


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
    draft = folder / f".{path.name}.draft"
    try:
        _remove(draft)
        draft.mkdir(parents=True)
        _write(draft, checkpoint)
        verify_checkpoint(draft)
        _remove(path)  # a run that fell back to an older checkpoint writes the damaged one again
        draft.rename(path)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        _remove(draft)
        raise ResourceError(
            f"cannot save the checkpoint of step {step} in {folder}: {error}; "
            f"{_free(folder) / 2**20:.1f} MiB are free there",
            hint="make room and go on with: platform run --resume RUN; earlier checkpoints are intact",
        ) from error
    return path


def _write(draft: Path, checkpoint: Checkpoint) -> None:
    for name, tensors in checkpoint.tensors.items():
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, draft / _file(name))
    (draft / STATE).write_text(json.dumps(checkpoint.state, indent=1))
    files = sorted(draft.iterdir())
    manifest = {file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)} for file in files}
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for file in [*files, draft / MANIFEST, draft]:
        _sync(file)


def verify_checkpoint(path: Path) -> None:
    """Compare a checkpoint's files with its manifest.

    Raises:
        CheckpointError: a file is missing or has other bytes than were written.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        for name, expected in manifest.items():
            if (path / name).stat().st_size != expected["bytes"] or _sha256(path / name) != expected["sha256"]:
                raise CheckpointError(f"{path / name} differs from what was written")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path} is incomplete: {error}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint after verifying it; tensors are on the CPU.

    Raises:
        CheckpointError: as `verify_checkpoint`.
    """
    verify_checkpoint(path)
    tensors = {file.stem: load_file(file) for file in path.glob("*.safetensors")}
    return Checkpoint(tensors=tensors, state=json.loads((path / STATE).read_text()))


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a checkpoint's weights for inference: the averaged ones where the recipe asked for an average.

    Raises:
        CheckpointError: it is damaged, or names or shapes differ from the model's.
    """
    tensors = load_checkpoint(path).tensors
    load_model_state(model, {**tensors["model"], **tensors.get("ema", {})}, path)


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


def read_best(path: Path) -> int | None:
    """The step with the best validation figure, as known when this checkpoint was saved."""
    best: int | None = json.loads((path / STATE).read_text())["progress"]["best_step"]
    return best


def newest_intact(folder: Path) -> Path | None:
    """The newest checkpoint whose bytes are those that were written; damaged ones are named in the log.

    Raises:
        CheckpointError: there are checkpoints, but none is intact.
    """
    _recover_draft(folder)
    paths = list(checkpoints(folder))
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


def _recover_draft(folder: Path) -> None:
    """Complete a save that was killed after everything was written, but before the new name was in place."""
    for draft in folder.glob(f".{PREFIX}*.draft"):
        path = folder / draft.stem.removeprefix(".")
        with suppress(CheckpointError):
            verify_checkpoint(draft)
            if not path.exists():
                draft.rename(path)


def checkpoints(folder: Path) -> Iterator[Path]:
    """Complete checkpoints below folder, oldest first."""
    yield from sorted(folder.glob(f"{PREFIX}*"))


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return folder / f"{PREFIX}{step:08d}"


def checkpoint_step(path: Path) -> int:
    """The optimizer step of a checkpoint, from its name."""
    return int(path.name.removeprefix(PREFIX))


def prune_checkpoints(folder: Path, keep: int, best: int | None) -> None:
    """Drop all but the newest `keep` checkpoints and that of step `best`, and drafts that a kill left behind."""
    paths = list(checkpoints(folder))
    for path in paths[:-keep]:
        if checkpoint_step(path) != best:
            _remove(path)
    for draft in folder.glob(f".{PREFIX}*.draft"):
        _remove(draft)


def _file(name: str) -> str:
    return f"{name}.safetensors"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Force a file or folder to disk: a rename is only worth something once what it names is there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _free(folder: Path) -> int:
    """Free bytes on the disk of a folder that may not exist yet."""
    return shutil.disk_usage(next(path for path in [folder, *folder.parents] if path.is_dir())).free
