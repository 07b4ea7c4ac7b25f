"""Plans for folders of images and of videos."""

from collections.abc import Callable
from pathlib import Path

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


def test_videos_need_a_backbone_to_be_named(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "data" / "running").mkdir(parents=True)
    (tmp_path / "data" / "running" / "a.mp4").write_bytes(b"")
    assert is_of_videos(tmp_path / "data") == {}
    code, _, said = plan(tmp_path / "data")
    assert code == 2
    assert "name a backbone" in said
