"""Cases in memory and models whose output is known, so that the whole path can be checked exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import Tensor, nn
from torch.nn import functional

from medvid.data.grid import Grid


@dataclass(frozen=True)
class MemoryCase:
    """A SegmentationCase whose arrays are at hand and whose files are .npy."""

    id: str
    grid: Grid
    prepared: np.ndarray
    image: np.ndarray
    truth: np.ndarray
    truth_prepared: np.ndarray

    @property
    def axes(self) -> str:
        return "volume" if len(self.grid.axes) == 3 else "image"

    def input(self) -> Tensor:
        return torch.from_numpy(self.prepared.astype(np.float32))[None]

    def native_input(self) -> np.ndarray:
        return self.image

    @property
    def display_window(self) -> tuple[float, float]:
        return (-200.0, 300.0)

    def native_truth(self) -> np.ndarray:
        return self.truth

    def prepared_truth(self) -> np.ndarray:
        return self.truth_prepared

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        assert labels.shape == self.grid.native_shape
        path = folder / f"{self.id.replace('/', '_')}.npy"
        np.save(path, labels)
        return (path,)


class OneHot(nn.Module):
    """Logits that are 1 for the label that the voxel's value says, 0 for the others."""

    def __init__(self, labels: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.labels = labels
        self.dtype = dtype

    def forward(self, input: Tensor) -> Tensor:
        return functional.one_hot(input[:, 0].round().long(), self.labels).movedim(-1, 1).to(self.dtype)


def identity_grid(shape: tuple[int, ...], spacing: tuple[float, ...]) -> Grid:
    axes = tuple(range(len(shape)))
    return Grid(shape, spacing, shape, spacing, axes, (1.0,) * len(shape), (0.0,) * len(shape))


def turned_grid(native_shape: tuple[int, int, int], spacing: tuple[float, float, float], margin: int) -> Grid:
    """A file stored as (P, I, L), say: prepared axes run along native axes 2, 0, 1, all flipped, and cropped."""
    axes = (2, 0, 1)
    return Grid(
        native_shape,
        spacing,
        tuple(native_shape[axis] - 2 * margin for axis in axes),
        tuple(spacing[axis] for axis in axes),
        axes,
        (-1.0, -1.0, -1.0),
        tuple(float(native_shape[axis] - 1 - margin) for axis in axes),
    )


def prepare(array: np.ndarray, grid: Grid) -> np.ndarray:
    """What a grid of scale +-1 makes of a native array."""
    turned = array.transpose(grid.axes)
    positions = [
        np.round((np.arange(length) - offset) / scale).astype(int)
        for length, scale, offset in zip(grid.prepared_shape, grid.scale, grid.offset, strict=True)
    ]
    return turned[np.ix_(*positions)]


@pytest.fixture
def make_case() -> Callable[..., MemoryCase]:
    """A case from its native truth; the prepared input holds the label ids, or others where `seen` says so."""

    def make(id: str, truth: np.ndarray, grid: Grid, seen: np.ndarray | None = None) -> MemoryCase:
        seen = truth if seen is None else seen
        image = (40.0 * seen - 100).astype(np.int16)
        return MemoryCase(id, grid, prepare(seen, grid), image, truth, prepare(truth, grid))

    return make


@pytest.fixture
def one_hot() -> type[OneHot]:
    return OneHot


@pytest.fixture
def grids() -> dict[str, Callable[..., Grid]]:
    return {"identity": identity_grid, "turned": turned_grid}


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written in the figures that are saved."""
    found: list[str] = []
    save = Figure.savefig

    def record(figure: Figure, *args, **kwargs) -> None:
        found.extend(artist.get_text() for artist in figure.findobj(Text))
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", record)
    return found
