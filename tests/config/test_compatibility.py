from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.config.checked import check_task
from medvid.config.compatibility import check_weights_exist
from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.errors import CheckpointError, ConfigError, DataError
from medvid.plugin.host import Host, make_host

Load = Callable[..., Task]

CLIPS = {"dataset": {"name": "clips", "root": "data"}, "backbone": {"name": "othernet"}, "head": {"name": "pooled"}}


@pytest.mark.parametrize("overrides", [{}, CLIPS])
def test_parts_that_fit_need_no_word(load: Load, host: Host, overrides: dict[str, Any]) -> None:
    assert check_task(load(overrides=overrides), host).notes == ()


@pytest.mark.parametrize(
    ("overrides", "sentence", "hint"),
    [
        (
            {"head": {"name": "pooled"}},
            "head 'pooled' predicts a class per case, but data set 'scans' is annotated with a class per voxel",
            "heads that predict a class per voxel: pixel",
        ),
        (
            {"backbone": {"name": "othernet"}},
            "head 'pixel' needs maps, but backbone 'othernet' returns only embedding",
            "",
        ),
        (
            CLIPS | {"head": {"name": "still"}},
            "head 'still' works on images, but data set 'clips' consists of videos",
            "",
        ),
        (
            {"backbone.sizes": [8, 8, 8]},
            "backbone 'net' cannot take these volumes: sizes is [8, 8, 8], inputs",
            "",
        ),
        (
            {"backbone": {"name": "flat", "sizes": [4, 6]}},
            "backbone 'flat' cannot take these volumes slice by slice: sizes is [4, 6], inputs are [4, 4]",
            "",
        ),
        (
            CLIPS | {"backbone": {"name": "flat", "sizes": [4, 6, 8]}},
            "backbone 'flat' cannot take these videos frame by frame: sizes is [4, 6, 8], inputs are [4, 4]",
            "",
        ),
        ({"dataset.labels": ["background"]}, "data set 'scans' has 1 label (background)", ""),
        ({"dataset.labels": [str(n) for n in range(300)]}, "'scans' has 300 labels, more than the 256", ""),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_a_sentence(
    load: Load, host: Host, overrides: dict[str, Any], sentence: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_task(load(overrides=overrides), host)
    assert sentence in str(caught.value)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("dataset", "backbone", "note"),
    [
        ("scans", {"name": "flat", "sizes": [4, 6]}, "backbone flat (image) runs on volumes slice by slice"),
        ("clips", {"name": "flat", "sizes": [6, 8]}, "backbone flat (image) runs on videos frame by frame"),
        ("clips", {"name": "net", "sizes": [6, 8, 4]}, "backbone net (volume) runs on videos with frames as slices"),
        ("clips", {"name": "both", "sizes": [6, 8, 4]}, "backbone both (volume) runs on videos with frames as slices"),
        ("clips", {"name": "both", "sizes": [6, 8]}, "backbone both (image) runs on videos frame by frame"),
        ("scans", {"name": "both", "sizes": [4, 6]}, "backbone both (image) runs on volumes slice by slice"),
    ],
)
def test_a_backbone_serves_other_layouts_and_it_is_said(
    load: Load, host: Host, dataset: str, backbone: dict[str, Any], note: str
) -> None:
    base = CLIPS if dataset == "clips" else {}
    data = {"dataset": {"name": dataset, "root": "data", "patch": [4, 6, 8]}}
    task = load(overrides=base | data | {"backbone": backbone})
    assert check_task(task, host).notes == (note,)


def test_classes_may_be_more_than_a_label_map_has(load: Load, host: Host) -> None:
    many = CLIPS | {"dataset": {"name": "clips", "root": "data", "labels": [str(n) for n in range(400)]}}
    assert check_task(load(overrides=many), host).notes == ()


def test_what_is_wrong_with_the_data_is_said_by_the_data_set(load: Load, host: Host) -> None:
    with pytest.raises(DataError, match=r"dataset\.json is missing"):
        check_task(load(overrides={"dataset.labels": ["read"]}), host)


VIDEO = """
name: clips
dataset: {name: videos, root: ., classes: [a, b], frames: 4, size: 32, test_frames: 8}
backbone: %s
head: {name: classification}
train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-4}}
"""
STAM = "{name: stam, num_frames: 4, frame: {name: vit, img_size: [32, 32], embed_dim: 192}}"


@pytest.mark.parametrize(
    ("backbone", "sentence"),
    [
        (STAM, "num_frames is 4, but the data set gives clips of 8 frames"),
        ("{name: mvit, variant: mvit_b_16x4}", r"it is built for clips of \[4, 32, 32\], not \[8, 32, 32\]"),
        ("{name: timesformer}", None),
    ],
)
def test_clips_of_evaluation_have_to_fit_too(tmp_path: Path, backbone: str, sentence: str | None) -> None:
    path, host = tmp_path / "task.yaml", make_host()
    path.write_text(VIDEO % backbone)
    task = load_task(path, host)
    if sentence is None:
        assert check_task(task, host).notes == ()
        return
    with pytest.raises(ConfigError, match=sentence) as caught:
        check_task(task, host)
    assert "dataset.test_frames" in caught.value.hint


def test_published_weights_have_to_be_there(tmp_path: Path) -> None:
    path, host = tmp_path / "task.yaml", make_host()
    weights = "weights: {source: timm, path: gone.safetensors}"
    path.write_text(VIDEO % STAM.replace("embed_dim: 192", f"embed_dim: 192, {weights}"))
    with pytest.raises(CheckpointError, match=r"gone\.safetensors: no such file"):
        check_weights_exist(load_task(path, host))


TASKS = Path(__file__).parents[2] / "tasks"


@pytest.mark.parametrize(("override", "refused"), [("train.accumulate=2", True), ("train.devices=2", False)])
def test_a_dice_of_the_whole_batch_is_not_accumulated(override: str, refused: bool) -> None:
    host = make_host()
    task = load_task(
        TASKS / "unetr_btcv.yaml", host, demo=True, overrides=["head.loss={name: dice_ce, batch: true}", override]
    )
    if not refused:
        check_task(task, host)
        return
    with pytest.raises(ConfigError, match=r"head.loss.batch is true.*train.accumulate is 2"):
        check_task(task, host)


def test_mixing_batches_of_one_case_is_said_to_do_nothing() -> None:
    host = make_host()
    overrides = ["dataset.classes=[jumping, swimming]", "head.mix.mixup=0.8", "train.batch_size=1"]
    task = load_task(TASKS / "mvit_kinetics.yaml", host, demo=True, overrides=overrides)
    assert any("nothing will be mixed" in note for note in check_task(task, host).notes)


@pytest.mark.parametrize(("weights", "refused"), [("[1, 2]", False), ("[1, 2, 3]", True)])
def test_class_weights_are_counted_before_anything_is_loaded(weights: str, refused: bool) -> None:
    host = make_host()
    overrides = ["dataset.classes=[jumping, swimming]", f"head.loss={{name: ce, class_weights: {weights}}}"]
    task = load_task(TASKS / "mvit_kinetics.yaml", host, demo=True, overrides=overrides)
    if not refused:
        check_task(task, host)
        return
    with pytest.raises(ConfigError, match="class_weights has 3 weights, the data set 2 labels") as caught:
        check_task(task, host)
    assert "jumping, swimming" in caught.value.hint
