"""A task whose runs take a second, for studies."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

TASK = """
name: squares
seed: 1
dataset: {name: image_masks, root: own, size: [16, 16], cache: cache}
backbone: {name: vit, img_size: [16, 16], patch_size: 8, embed_dim: 16, depth: 2, num_heads: 2, taps: [0]}
head: {name: pixel}
train:
  {steps: 24, batch_size: 2, optimizer: {name: adamw, lr: 2e-3}, precision: fp32, workers: 0, log_every: 4,
   checkpoint_every: 4}
evaluation: {every: 12, figures: 0}
"""


def draw(root: Path, names: list[str]) -> None:
    """Write images of noise with a bright square, and its mask."""
    for name in names:
        random = np.random.default_rng([*name.encode()])
        image, mask = random.integers(0, 100, (16, 16), np.uint8), np.zeros((16, 16), np.uint8)
        row, column = random.integers(0, 8, 2)
        mask[row : row + 8, column : column + 8] = 255
        for folder, array in (("images", np.maximum(image, mask // 2)), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{name}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Iterator[Path]:
    """A working directory with task.yaml and its data: four patients with two images each."""
    folder = tmp_path_factory.mktemp("studies")
    draw(folder / "own", [f"p{patient}_{view}" for patient in range(4) for view in range(2)])
    (folder / "task.yaml").write_text(TASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        patch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # cells in other processes compute the same bits
        yield folder
