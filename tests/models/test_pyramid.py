"""How decoder levels are laid out over feature pyramids."""

import pytest

from medvid.models.pyramid import level_strides, match_levels, octaves

Strides = list[tuple[int, ...]]


@pytest.mark.parametrize(
    ("coarsest", "levels"),
    [
        ((16, 16, 16), [(1, 1, 1), (2, 2, 2), (4, 4, 4), (8, 8, 8)]),
        ((2, 16, 16), [(1, 1, 1), (2, 2, 2), (2, 4, 4), (2, 8, 8)]),
        ((14, 14), [(1, 1), (2, 2), (4, 4), (8, 8)]),
        ((16, 16, 1), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (8, 8, 1)]),
        ((1, 1), [(1, 1)]),
    ],
)
def test_levels_halve_the_stride_down_to_one(coarsest: tuple[int, ...], levels: Strides) -> None:
    assert level_strides(coarsest) == levels


@pytest.mark.parametrize(
    ("maps", "coarsest", "matches"),
    [
        pytest.param([(16, 16, 16)] * 3, (16, 16, 16), {1: 0, 2: 1, 3: 2}, id="UNETR: as published"),
        pytest.param([(2, 2), (4, 4), (8, 8)], (16, 16), {1: 0, 2: 1, 3: 2}, id="TransUNet: as published"),
        pytest.param([(4, 4), (8, 8), (16, 16)], (32, 32), {2: 0, 3: 1, 4: 2}, id="exact pyramid"),
        pytest.param([(2, 4, 4), (2, 8, 8), (2, 16, 16)], (2, 32, 32), {2: 0, 3: 1, 4: 2}, id="MViT"),
        pytest.param([(1, 1), (2, 2), (4, 4)], (8, 8), {0: 0, 1: 1, 2: 2}, id="U-Net with a full-resolution map"),
        pytest.param([(16, 16)], (16, 16), {3: 0}, id="fewer maps than levels"),
        pytest.param([(2, 2), (4, 4), (4, 4), (4, 4)], (8, 8), {1: 0, 2: 1}, id="more maps than levels"),
        pytest.param([(14, 14)] * 3, (14, 14), {1: 0, 2: 1, 3: 2}, id="no power of two"),
        pytest.param([(8, 8), (8, 8)], (2, 2), {}, id="no level is open"),
        pytest.param([], (16, 16), {}, id="a single map"),
    ],
)
def test_maps_land_on_the_levels_that_fit(maps: Strides, coarsest: tuple[int, ...], matches: dict[int, int]) -> None:
    assert match_levels(maps, level_strides(coarsest)) == matches


@pytest.mark.parametrize(("fine", "coarse", "count"), [(1, 16, 4), (2, 14, 3), (4, 4, 0), (8, 4, 0)])
def test_octaves_are_rounded_up(fine: int, coarse: int, count: int) -> None:
    assert octaves(fine, coarse) == count
