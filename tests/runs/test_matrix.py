"""Everything with everything: each backbone with each head on images, volumes and videos, for one step and back."""

from pathlib import Path

import pytest

from medvid.config.matrix import Cell, matrix
from medvid.plugin.host import make_host
from medvid.testing import try_cell

HOST = make_host()
CELLS = list(matrix(HOST))


def test_hardly_any_cell_is_refused() -> None:
    refused = [
        f"{cell.backbone.name} x {cell.head.name} x {cell.axes}: {cell.problem}" for cell in CELLS if not cell.trains
    ]
    assert 10 * len(refused) < len(CELLS), "\n".join(refused)


@pytest.mark.parametrize(
    "cell",
    [cell for cell in CELLS if cell.trains and (cell.what == "class" or cell.backbone.name == "vit")],
    ids=lambda cell: f"{cell.backbone.name}-{cell.head.name}-{cell.what}-{cell.axes}",
)
def test_cell(cell: Cell, tmp_path: Path) -> None:
    try_cell(HOST, cell, tmp_path)
