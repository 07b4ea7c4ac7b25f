"""Runs on images: what a run remembers of them when it is asked to predict or score others."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from tests.runs.conftest import SMALL, draw_images

import medvid
from medvid.errors import DataError
from medvid.runs.api import Run


def test_predictions_keep_the_scale_of_training_and_each_file_its_place(small: Run, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    shutil.rmtree("own")
    draw_images(tmp_path / "new", ["x", "x_mask", "y"])
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(tmp_path / "new/images/y.png")
    files = {case: found.files for case, found in small.predict([tmp_path / "new/images"], tmp_path / "out")}
    assert {case: [str(path.relative_to(tmp_path / "out")) for path in paths] for case, paths in files.items()} == {
        "x": ["x_mask.png", "pictures/x.png"],
        "y": ["y_mask.png", "pictures/y.png"],
    }
    with Image.open(files["y"][0]) as mask:
        assert mask.size == (64, 48)
    assert "masks of images beside them; to predict them anyway, name the files: x_mask.png" in caplog.text
    assert (
        "1 of 2 images differ in size from training images (16 x 16): y (64 x 48); they are resized by the same "
        "factor, and inferred in windows of 16 x 16"
    ) in caplog.text
    named = [tmp_path / "new/images/x_mask.png", tmp_path / "new/images/x.png"]
    written = {path for _, found in small.predict(named, tmp_path / "both", probabilities=True) for path in found.files}
    assert {str(path.relative_to(tmp_path / "both")) for path in written} == {
        *("x_mask.png", "probabilities/x.tif", "pictures/x.png"),
        *("x_mask_mask.png", "probabilities/x_mask.tif", "pictures/x_mask.png"),
    }
    with Image.open(tmp_path / "both/probabilities/x.tif") as pages, Image.open(tmp_path / "both/x_mask.png") as mask:
        background, foreground = (np.array(page).astype(int) for page in ImageSequence.Iterator(pages))
        assert (abs(background + foreground - 255) <= 1).all()
        assert ((foreground > background) <= (np.array(mask) == 1)).all()


def paint(root: Path, *palette: tuple[int, int, int]) -> Path:
    """Give the masks of `draw_images` this palette."""
    for path in (root / "masks").iterdir():
        mask = Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8))
        mask.putpalette(np.array(palette, np.uint8).tobytes())
        mask.save(path)
    return root


def test_other_palettes_than_those_of_training_are_refused_when_scored(working_directory: Path) -> None:
    black, red = (0, 0, 0), (200, 0, 0)
    paint(draw_images(working_directory / "own", "abc"), black, red)
    run = medvid.run(SMALL, {"dataset.root": "own", "dataset.mask_values": "indexed"})
    other = paint(draw_images(working_directory / "other", "de", seed=1), red, black)
    with pytest.raises(DataError, match=r"its mask 0 is \[200, 0, 0\], but \[0, 0, 0\] in the palette of the training"):
        run.evaluate(data=other)
    evaluation, _ = run.evaluate(data=paint(other, black, red))
    assert {row["case"] for row in evaluation.rows} == {"d", "e"}


def test_pixels_that_nobody_annotated_count_in_no_figure_and_get_an_answer(
    working_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for path in (draw_images(working_directory / "own", "abc") / "masks").iterdir():
        mask = (np.asarray(Image.open(path)) > 0).astype(np.uint8)
        mask[:5] = 255
        Image.fromarray(mask).save(path)
    options = {"dataset.root": "own", "dataset.mask_values": "indexed", "dataset.ignore": 255}
    run = medvid.run(SMALL, options)
    assert "pixels of dataset.ignore, which nobody annotated, count in nothing: a (31%)" in caplog.text
    [row] = run.evaluate()[0].rows
    truth = np.asarray(Image.open(f"own/masks/{row['case']}.png"))
    answer = np.asarray(Image.open(run.folder.path / f"predictions/{row['case']}_mask.png"))
    assert answer.max() <= 1
    known = truth < 255
    assert (row["voxels_true"], row["voxels_predicted"]) == ((truth[known] == 1).sum(), (answer[known] == 1).sum())
