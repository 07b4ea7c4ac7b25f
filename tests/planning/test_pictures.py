"""Plans for folders of images and of videos."""

import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from tests.planning.test_volumes import read, unwrapped

from medvid.config.checked import check_task
from medvid.config.load import load_task
from medvid.plugin.host import make_host
from medvid_videos.config import recognise as is_of_videos

Plan = Callable[..., tuple[int, str, str]]


def write_images(root: Path, count: int = 6, size: tuple[int, int] = (90, 130), *, ids: bool = False) -> Path:
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        mask = random.integers(0, 3 if ids else 2, size).astype(np.uint8)
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(root / "images" / f"{number}.png")
        Image.fromarray(mask if ids else mask * 255).save(root / "masks" / f"{number}.png")
    return root


def test_microscopy_gets_nnunets_plan_in_two_axes(plan: Plan, tmp_path: Path) -> None:
    root = write_images(tmp_path / "data", ids=True)
    assert plan(root, "--preset", "plain", "-o", tmp_path / "mine.yaml")[0] == 0
    text, host = (tmp_path / "mine.yaml").read_text(), make_host()
    task, checked = read(text), check_task(load_task(tmp_path / "mine.yaml", host), host)
    assert checked.input_info.size == (96, 144)  # of 90 x 130, halved four times
    assert len(task["backbone"]["strides"][0]) == 2
    assert task["dataset"]["labels"] == ["background", "label_1", "label_2"]
    assert task["dataset"]["channels"] == 3
    assert "names are not known" in unwrapped(text)


@pytest.mark.parametrize(
    ("count", "size", "message"), [(1, (64, 64), "at least 2"), (3, (7, 7), "too small for a U-Net")]
)
def test_images_that_are_too_few_or_too_small_are_refused(
    plan: Plan, tmp_path: Path, count: int, size: tuple[int, int], message: str
) -> None:
    code, _, said = plan(write_images(tmp_path / "data", count, size))
    assert code == 4
    assert message in said


def test_facts_of_images_say_how_frequent_labels_are(plan: Plan, tmp_path: Path) -> None:
    root = write_images(tmp_path / "data", ids=True)
    for _ in range(2):  # also from the cache
        text = unwrapped(plan(root, "--preset", "plain")[1])
        assert "8 bits per channel, values 0 to 254" in text
        assert re.search(r"label label_2: in 6 images, 33\.\d\d% of all pixels", text)
    (root / "masks" / "3.png").write_bytes(b"nothing")
    assert "3.png" in plan(root)[2]


def moving(root: Path, speed: float, seconds: float, keys: int) -> Path:
    """Bars that move by a share of their distance per second, in two classes of two videos."""
    columns = np.arange(64) / 32
    for name in ("left", "right"):
        (root / name).mkdir(parents=True)
        for number in range(2):
            with av.open(str(root / name / f"{number}.mp4"), "w") as container:
                stream = container.add_stream("libx264", rate=30, options={"g": str(keys), "sc_threshold": "0"})
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                for frame in range(round(seconds * 30)):
                    bars = 127 + 100 * np.sin(2 * np.pi * (columns - speed * frame / 30))
                    picture = np.broadcast_to(bars[:, None], (48, 64, 3)).astype(np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                container.mux(stream.encode())
    return root


@pytest.mark.parametrize(("speed", "rate"), [(0.5, 5.0), (2.0, 1.2), (0.0, 7.5)])
def test_fast_motion_means_frames_close_together(plan: Plan, tmp_path: Path, speed: float, rate: float) -> None:
    root = moving(tmp_path / "data", speed, 8.0, keys=240)
    small = [part for each in ("embed_dim=24", "depth=1", "num_heads=2") for part in ("--set", f"backbone.{each}")]
    code, text, said = plan(root, "--backbone", "timesformer", "--memory", 2, *small)
    assert code == 0, said
    task = read(text)
    assert task["dataset"]["rate"] == pytest.approx(rate, rel=0.15)  # a twelfth of the period of 1 / speed
    assert task["evaluation"]["clips"] == min(10, round(8 / (task["dataset"]["rate"] * 16 / 30)))
    assert ("nothing moves" in text) == (speed == 0)
    assert "key frames are 8 s apart" in unwrapped(text) or task["dataset"]["rate"] * 16 / 30 >= 4


def test_videos_need_a_backbone_to_be_named(plan: Plan, tmp_path: Path) -> None:
    for name in ("running", "jumping"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.mp4").write_bytes(b"")
    assert is_of_videos(tmp_path / "data") == {}
    code, _, said = plan(tmp_path / "data")
    assert code == 2
    assert "name a backbone" in said
