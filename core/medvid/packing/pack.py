"""`platform pack`: a run's weights as one file that predicts on another machine."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medvid.config.checked import check_task
from medvid.config.load import dump_task
from medvid.errors import ConfigError
from medvid.files import read_json, write_json, write_text
from medvid.packing.archive import write_archive
from medvid.packing.card import Card, headline_of, intervals_of
from medvid.packing.task import packed_task
from medvid.runs.api import Run
from medvid.runs.folder import RunFolder
from medvid.runs.origin import Origin, read_origin, read_task
from medvid.runs.weights import find_checkpoint
from medvid.training.checkpoint import Checkpoint, checkpoint_step, read_weights, save_checkpoint

_VERSIONS = ("python", "medvid", "torch")


def pack(run: Run, output: Path, *, checkpoint: str, use: str, licence: str) -> tuple[Card, str]:
    """Pack a run.

    Args:
        run: finished, or with a checkpoint at least.
        output: the zip file.
        checkpoint: ``best``, ``last`` or the number of a saved step.
        use: what the model is meant for.
        licence: of the weights.

    Returns:
        The card, and the sha256 of the file.

    Raises:
        ConfigError: `output` exists, or the run has no such checkpoint.
        CheckpointError: the checkpoint is damaged.
        ResourceError: the disk is full.
    """
    if output.exists():
        raise ConfigError(f"{output} exists already", hint="give another name: -o model.zip")
    source = find_checkpoint(run.folder, checkpoint)
    with tempfile.TemporaryDirectory() as temporary:
        name = re.sub(r"[^\w.-]|^\W+", "_", run.folder.name)
        folder = RunFolder(Path(temporary) / name)
        folder.path.mkdir()
        card = _lay_out(run, source, folder, use, licence)
        files = {str(path.relative_to(folder.path)): path for path in folder.path.rglob("*") if path.is_file()}
        about = {"name": name, "step": card.step, "versions": card.versions, "licence": licence}
        return card, write_archive(output, files, about)


def _lay_out(run: Run, source: Path, folder: RunFolder, use: str, licence: str) -> Card:
    """Put what is packed into a folder."""
    step, task = checkpoint_step(source), packed_task(run.task())
    weights = {name: tensor.clone() for name, tensor in read_weights(source, is_verified=True).items()}
    save_checkpoint(
        folder.checkpoints, step, Checkpoint({"model": weights}, {"progress": {"step": step, "best_step": step}})
    )
    write_text(folder.resolved, dump_task(task))
    began = read_origin(run.folder) or Origin({}, {})
    kept = Origin(read_task(folder.resolved), began.plugins, description=began.description, precision=began.precision)
    kept.write(folder.origin)
    environment = read_json(run.folder.environment)
    write_json(folder.environment, {name: environment.get(name, {}) for name in ("versions", "plugins")})
    for name in ("postprocessing", "profile"):
        found = read_json(getattr(run.folder, name))
        if found:
            write_json(getattr(folder, name), found)
    card = _card(run, step, use, licence)
    write_json(folder.path / "card.json", card.as_json())
    write_text(folder.path / "CARD.md", card.markdown())
    return card


def _card(run: Run, step: int, use: str, licence: str) -> Card:
    task, summary = run.task(), read_json(run.folder.summary)
    target = check_task(task, run.host).target_info
    profile, environment = read_json(run.folder.profile), read_json(run.folder.environment)
    is_scored = summary.get("step") == step
    figures, notes = headline_of(run.folder) if is_scored else ({}, (f"The weights of step {step} were not scored.",))
    size: Mapping[str, Any] = profile.get("model", {})
    return Card(
        name=run.folder.name,
        step=step,
        model={"backbone": task.backbone.name, "head": task.head.name, **size},
        answers={"where": target.where, "what": target.what, "names": target.names, "units": target.units},
        data={
            "dataset": task.dataset.name,
            "about": task.about.data,
            "generated": task.demo is not None,
            "splits": read_json(run.folder.data),
            "evaluated": task.evaluation.split,
        },
        figures=figures,
        intervals={name: (found.low, found.high) for name, found in intervals_of(run.folder).items() if is_scored},
        protocol=task.evaluation.protocol.name,
        notes=notes,
        use=use,
        licence=licence,
        versions={name: environment["versions"][name] for name in _VERSIONS if name in environment.get("versions", {})},
    )
