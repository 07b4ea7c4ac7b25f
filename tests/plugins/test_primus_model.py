"""Primus: sizes, positions, and what its options accept."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid_primus.config import PrimusOptions
from medvid_primus.decoder import falling_widths
from medvid_primus.model import Primus
from medvid_primus.rotary import axial_angles, rotate

SMALL: dict[str, Any] = {"img_size": (16, 8, 8), "hidden_size": 24, "num_layers": 2, "num_heads": 2}


def options(**given: Any) -> PrimusOptions:
    return PrimusOptions(**({"name": "primus"} | SMALL | given))


PUBLISHED = {
    "S": (23.2, 24.0, 70.4),
    "B": (91.8, 92.5, 148.2),
    "M": (145.1, 145.7, 203.1),
    "L": (323.7, 324.2, 386.1),
}
"""Parameters in millions of the versions 1, 2 and 3 with their decoder for 2 classes, without the positions."""


@pytest.mark.parametrize("variant", PUBLISHED)
def test_published_sizes(variant: str) -> None:
    for stem, wanted in zip(("v1", "v2", "v3"), PUBLISHED[variant], strict=True):
        given = PrimusOptions(name="primus", variant=variant, stem=stem, img_size=(32, 32, 32))
        with torch.device("meta"):
            model = Primus(given, InputInfo("volume", 1, (32, 32, 32)))
        widths = [given.hidden_size, *falling_widths(given.hidden_size, 2, 3)]
        decoder = sum(8 * a * b + b for a, b in pairwise(widths)) + 2 * sum(widths[1:-1])
        found = sum(parameter.numel() for parameter in model.parameters()) - model.positions.numel() + decoder
        assert math.isclose(found / 1e6, wanted, abs_tol=0.05), f"{variant} {stem}: {found}"


def test_decoder_widths_fall_as_published() -> None:
    assert falling_widths(396, 3, 3) == [96, 24, 3]
    assert falling_widths(396, 2, 3) == [88, 16, 2]
    assert falling_widths(24, 14, 1) == [14]


def test_products_of_turned_pairs_depend_on_distances_alone() -> None:
    angles = axial_angles((3, 3, 3), 12)
    query, key = torch.randn(12), torch.randn(12)
    turned = [rotate(x.expand(27, 12), angles.cos(), angles.sin()).view(3, 3, 3, 12) for x in (query, key)]
    near = (turned[0][0, 1, 0] * turned[1][1, 1, 2]).sum()
    far = (turned[0][1, 0, 0] * turned[1][2, 0, 2]).sum()
    assert torch.isclose(near, far, atol=1e-5)
    assert not torch.isclose(near, (turned[0][0, 1, 0] * turned[1][2, 1, 1]).sum(), atol=1e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"img_size": (16, 12, 8)}, r"img_size \[16, 12, 8\] is not a multiple of 8"),
        ({"img_size": (16, 16)}, "img_size"),
        ({"num_heads": 5}, r"hidden_size \(24\) is not a multiple of num_heads \(5\)"),
        ({"num_heads": 3}, r"hidden_size \(24\) over num_heads \(3\) is 8, not a multiple of 6"),
        ({"stem": "v1", "stem_channels": (4, 4, 4, 4)}, "v1 is a single convolution"),
        ({"variant": "XL"}, "'S', 'B', 'M' or 'L'"),
        ({"drop_path": 1.0}, "less than 1"),
    ],
)
def test_impossible_options_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**given)


def test_a_variant_gives_defaults_alone() -> None:
    given = PrimusOptions(name="primus", variant="S", num_layers=3, img_size=(8, 8, 8))
    assert (given.hidden_size, given.num_layers, given.num_heads) == (396, 3, 6)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[16, 8, 8\], .* \[16, 16, 8\]"):
        options().check_input(InputInfo("volume", 1, (16, 16, 8)))
    with pytest.raises(ValueError, match=r"size \[16, 8, 8\], not \[16, 16, 8\]"):
        Primus(options(), InputInfo("volume", 1, (16, 8, 8)))(torch.rand(1, 1, 16, 16, 8))
