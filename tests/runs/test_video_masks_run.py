"""Segmented videos through the real commands: a run, its rows, and predictions that people can watch."""

import csv
from pathlib import Path

import av
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import medvid
from medvid.cli.main import main
from medvid.runs.api import Run

TASK = """
name: drops
dataset: {name: video_masks, root: none, if_missing: demo, frames: 4, size: [16, 24], cache: cache}
backbone: {name: unet, features: [2, 4], strides: [[1, 1], [2, 2]]}
head: {name: unet_decoder}
train: {steps: 2, batch_size: 2, optimizer: {name: adamw, lr: 1e-2}, precision: fp32}
evaluation: {protocol: unetr, overlap: 0}
demo: {generate: {train: 2, validation: 1, length: 7, annotated: 2, size: [24, 32]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    """One finished run of a backbone of images, scored on the model's grid; tests only read it."""
    folder = tmp_path_factory.mktemp("drops")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        (folder / "drops.yaml").write_text(TASK)
        return medvid.run(folder / "drops.yaml")


def test_a_row_for_each_annotated_frame(run: Run) -> None:
    with run.folder.cases.open() as file:
        rows = list(csv.DictReader(file))
    video = next(iter(run.task().dataset.root.glob("val/masks/*")))
    numbers = sorted(int(path.stem) for path in video.iterdir())
    assert [(row["case"], int(row["frame"]), float(row["time_s"])) for row in rows] == [
        (video.name, number, pytest.approx(number / 25)) for number in numbers
    ]
    assert {"dice", "dice_pooled", "dice_of_videos"} <= run.summary["metrics"].keys()
    [written] = (run.folder.path / "predictions").iterdir()
    assert nib.load(written).shape == (7, 24, 32)
    assert (run.folder.path / "figures" / f"{video.name}.png").is_file()


@pytest.mark.parametrize("answers", ["nifti", "png"])
def test_a_new_video_gets_label_maps_and_an_overlay(run: Run, tmp_path: Path, answers: str) -> None:
    [video] = run.task().dataset.root.glob("val/videos/*.mp4")
    code = main(["predict", str(run.folder.path), str(video), "-o", str(tmp_path), "--format", answers])
    assert code == 0
    with av.open(str(tmp_path / "pictures" / video.name)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert (len(frames), frames[0].shape, container.streams.video[0].average_rate) == (7, (24, 32, 3), 25)
    if answers == "nifti":
        labels = np.asarray(nib.load(tmp_path / f"{video.stem}.nii.gz").dataobj)
    else:
        labels = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / video.stem).iterdir())])
    assert labels.shape == (7, 24, 32)
    assert set(np.unique(labels)) <= {0, 1}
