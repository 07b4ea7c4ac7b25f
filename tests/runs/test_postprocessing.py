"""A run finds out which largest components help, and applies it to whatever it predicts."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runs.conftest import SMALL, draw_images

import medvid
from medvid.errors import ConfigError, DataError
from medvid.evaluation.metrics.components import count
from medvid.runs.api import Run

CHOOSING = (
    "evaluation.largest_component=if_better", "evaluation.every=null", "evaluation.figures=0",
    "backbone.patch_size=4", "train.steps=40", "train.optimizer.lr=2e-2", "train.checkpoint_every=40",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    """A run on noise with bright squares, which finds specks besides them."""
    folder = tmp_path_factory.mktemp("postprocessing")
    draw_images(folder / "own", "abcdefgh")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        return medvid.run(SMALL, [f"dataset.root={folder / 'own'}", *CHOOSING])


def components_in(folder: Path) -> int:
    return max(count(np.asarray(Image.open(path)) > 0) for path in folder.rglob("*.png"))


def dice_with(run: Run, steps: list[str], output: Path) -> float:
    evaluation, _ = run.evaluate(output=output, overrides={"evaluation.largest_component": steps})
    return evaluation.metrics["dice"]


def test_it_keeps_what_raises_dice_and_says_so(run: Run, tmp_path: Path) -> None:
    found = json.loads(run.folder.postprocessing.read_text())
    before, after = dice_with(run, [], tmp_path / "before"), dice_with(run, ["all"], tmp_path / "after")
    assert before > 0, "otherwise this test shows nothing"
    assert components_in(tmp_path / "after/predictions") == 1
    assert found["largest_component"] == (["all"] if after > before else [])
    assert found["dice"]["before"] == {"foreground": pytest.approx(before)}
    assert run.summary["metrics"]["dice"] == pytest.approx(max(before, after))
    assert any(note.startswith("post-processing") for note in run.summary["notes"])


def test_what_was_chosen_is_applied_to_all_later_predictions(run: Run, tmp_path: Path) -> None:
    """Of an image of two squares, of which the larger one is kept."""
    image = np.zeros((16, 16), np.uint8)
    image[:5, :5] = image[9:, 9:] = 227
    (tmp_path / "new").mkdir()
    Image.fromarray(image).save(tmp_path / "new/two.png")
    assert dict(run.predict([tmp_path / "new"], tmp_path / "both", overrides=["evaluation.largest_component=[]"]))
    kept = run.folder.postprocessing.read_text()
    run.folder.postprocessing.write_text(json.dumps({"largest_component": ["all"]}))
    try:
        assert dict(run.predict([tmp_path / "new"], tmp_path / "one"))
    finally:
        run.folder.postprocessing.write_text(kept)
    assert [components_in(tmp_path / folder) for folder in ("both", "one")] == [2, 1]
    assert json.loads((tmp_path / "one/predictions.json").read_text())["changes"] == {}


def test_a_run_that_has_not_chosen_says_so(run: Run, tmp_path: Path) -> None:
    kept = run.folder.postprocessing.rename(tmp_path / "kept.json")
    try:
        with pytest.raises(DataError, match="the run has not chosen its post-processing"):
            run.evaluate(output=tmp_path / "none")
        assert run.evaluate(output=tmp_path / "named", overrides={"evaluation.largest_component": ["all"]})
    finally:
        kept.rename(run.folder.postprocessing)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("evaluation.largest_component=[liver]", "'liver', which is not one of the labels"),
        ("evaluation.largest_component=[all, all]", "or stands twice"),
        ("evaluation.split=test", "chosen on the split 'test'"),
    ],
)
def test_labels_that_do_not_exist_and_other_splits_are_refused(run: Run, asked: str, message: str) -> None:
    overrides = [f"dataset.root={run.task().dataset.root}", CHOOSING[0], asked]
    with pytest.raises(ConfigError, match=message):
        medvid.run(SMALL, overrides)
