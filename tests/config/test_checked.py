from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from medvid.config.checked import check_task
from medvid.config.early import check_again, check_run
from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.errors import CheckpointError, ConfigError, DataError
from medvid.plugin.host import Host, make_host

Load = Callable[..., Task]


def names(components: Any) -> set[tuple[str, str]]:
    return {(spec.kind, spec.name) for spec in components}


def test_it_knows_its_components_and_what_they_are_fed(load: Load, host: Host) -> None:
    checked = check_task(load(overrides={"backbone": {"name": "flat"}}), host)
    assert {("dataset", "scans"), ("backbone", "flat"), ("head", "pixel")} <= names(checked.components)
    assert checked.input_info == checked.task.dataset.input_info()
    assert checked.target_info == checked.task.dataset.target_info()
    assert checked.adaptation
    assert (checked.adaptation.kind, checked.backbone_info.axes) == ("fold", "image")
    assert checked.backbone_info.size == checked.input_info.size[:2]


def test_a_backbone_in_its_own_axes_is_fed_what_the_model_is(load: Load, host: Host) -> None:
    checked = check_task(load(), host)
    assert checked.adaptation is None
    assert checked.backbone_info is checked.input_info


def test_it_cannot_be_changed(load: Load, host: Host) -> None:
    with pytest.raises(FrozenInstanceError):
        check_task(load(), host).task = load()  # type: ignore[misc]


NESTED = """
name: clips
dataset: {name: videos, root: ., classes: [a, b], frames: 4, size: 32}
backbone: {name: stam, num_frames: 4, frame: {name: vit, img_size: [32, 32]}}
head: {name: classification}
train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-4}}
"""


def test_components_inside_others_are_among_its_own(tmp_path: Path) -> None:
    path, host = tmp_path / "task.yaml", make_host()
    path.write_text(NESTED)
    found = names(check_task(load_task(path, host), host).components)
    assert {("backbone", "stam"), ("backbone", "vit"), ("optimizer", "adamw")} <= found


@pytest.mark.parametrize(
    ("recipe", "more", "reason"),
    [
        ("unetr_organmnist3d", "", "is of volumes"),
        ("timesformer_kinetics", "segments", "spans a whole video"),
    ],
)
def test_all_clips_are_of_videos_with_several(recipe: str, more: str, reason: str) -> None:
    host, path = make_host(), Path(__file__).parents[2] / "tasks" / f"{recipe}.yaml"
    given: dict[str, Any] = {"evaluation.clips": "all", "dataset.root": "."}
    if more:
        given |= {"dataset.classes": ["a", "b"], "dataset.test_sampling": more}
    with pytest.raises(ConfigError, match=f"evaluation.clips is all, but .* {reason}"):
        check_task(load_task(path, host, overrides=given), host)


def test_a_new_run_needs_data_weights_and_folders(load: Load, host: Host, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: data"):
        check_run(load(), host)
    Path("data").mkdir()
    weights = {"backbone.weights": {"source": "hub", "path": "gone.pt"}}
    with pytest.raises(CheckpointError, match=r"gone\.pt: no such file"):
        check_run(load(overrides=weights), host)
    assert check_again(load(overrides=weights), host)  # a run that has begun does not need them again
    task = check_run(load(), host).task
    assert (task.dataset.root, task.output) == (tmp_path / "data", tmp_path / "runs")


GLANDS = """
name: glands
dataset: {name: glas, root: absent, cache: cache, size: [32, 32]}
backbone: {name: vit, img_size: [32, 32], taps: [0]}
head: {name: pixel}
train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-4}}
demo: {generate: {train: 1, test: 1, size: [40, 48]}}
"""


def test_it_is_made_with_the_demo_data_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("task.yaml").write_text(GLANDS)
    host = make_host()
    task = load_task(Path("task.yaml"), host, demo=True)
    assert not task.dataset.root.exists()
    checked = check_run(task, host)
    found = {path for path in checked.task.dataset.root.rglob("*") if path.is_file()}
    assert found
    assert check_again(checked.task, host) == checked
    assert {path for path in checked.task.dataset.root.rglob("*") if path.is_file()} == found
