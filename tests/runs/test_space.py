import math
from pathlib import Path
from typing import cast

import pytest

import medvid
from medvid.config.checked import check_task
from medvid.config.task import Task
from medvid.data.dataset import SegmentationCase
from medvid.errors import ResourceError
from medvid.runs.api import Run
from medvid.runs.session import Session, launched_session
from medvid.runs.space import _prediction_bytes, check_space, checkpoint_bytes


def session_of(task: Task, run: Run) -> Session:
    with launched_session(check_task(task, run.host)) as session:
        return session


def test_the_size_of_a_checkpoint_is_known_before_it_is_written(finished: Run) -> None:
    session = session_of(finished.task(), finished)
    saved = max(finished.folder.checkpoints.iterdir())
    size = sum(path.stat().st_size for path in saved.glob("*.safetensors"))
    assert checkpoint_bytes(finished.task(), session.model) == pytest.approx(size, rel=0.05)


def test_a_run_that_the_disk_has_no_room_for_is_refused_with_numbers(finished: Run, tmp_path: Path) -> None:
    task = finished.task(["train.keep_checkpoints=100000000", "train.steps=1000000000", "train.checkpoint_every=1"])
    session = session_of(task, finished)
    evaluated = session.dataset.cases("validation")
    check_space(tmp_path / "runs", finished.task(), session.model, session.dataset, evaluated)
    with pytest.raises(ResourceError, match=r"runs has room for .* GiB, the run needs .* GiB: 100000002 checkpoints"):
        check_space(tmp_path / "runs", task, session.model, session.dataset, evaluated)


def test_probabilities_take_a_byte_for_each_label_and_voxel(finished: Run) -> None:
    plain, asked = (finished.task([f"evaluation.probabilities={value}"]) for value in ("false", "true"))
    session = session_of(plain, finished)
    [case, *_] = cases = session.dataset.cases("validation")
    voxels = math.prod(cast(SegmentationCase, session.dataset.open_case(case)).grid.native_shape) * len(cases)
    before, after = (_prediction_bytes(task, session.dataset, cases) for task in (plain, asked))
    assert after - before == len(session.dataset.target_info.names) * voxels


def test_it_is_refused_before_there_is_a_folder(tiny_task: Path) -> None:
    endless = {"train.keep_checkpoints": 10**8, "train.steps": 10**9, "train.checkpoint_every": 1}
    with pytest.raises(ResourceError, match="has room for"):
        medvid.run(tiny_task, endless)
    assert not Path("runs").exists()
