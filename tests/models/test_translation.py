"""The steps that plugins make of a published state ours: renaming, fusing, resizing positions, flax's axes."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.errors import CheckpointError
from medvid.models.features import FeatureInfo
from medvid.models.model import Model
from medvid.models.weights import Translation, cubic_grid, flax, infer_grid, resize_positions
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions

GRIDS = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def test_tensors_are_renamed_or_dropped_with_a_reason() -> None:
    state = {"fc1.weight": torch.ones(1), "x.counter": torch.ones(1)}
    result = Translation.renamed(
        state, ((r"^fc(\d)", r"backbone.layer\1"), (r"layer1", "first")), {r"counter$": "counted"}
    )
    assert result.tensors.keys() == {"backbone.first.weight"}
    assert result.keys == {"backbone.first.weight": "fc1.weight"}
    assert result.dropped == {"x.counter": "counted"}


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"a\.w and b\.w in the file are both w"):
        Translation.renamed({"a.w": torch.ones(1), "b.w": torch.ones(1)}, ((r"^\w\.", ""),))


def test_parts_of_a_layer_are_fused_where_all_are_there() -> None:
    parts = {f"a.{name}.bias": torch.full((2,), float(index)) for index, name in enumerate(("query", "key", "value"))}
    result = Translation(parts | {"b.query.bias": torch.ones(1)})
    result.fuse()
    assert result.tensors.keys() == {"a.qkv.bias", "b.query.bias"}
    assert result.tensors["a.qkv.bias"].tolist() == [0, 0, 1, 1, 2, 2]


@given(GRIDS, st.data(), st.integers(0, 2))
def test_positions_of_any_grid_become_those_of_any_other(old: list[int], data: st.DataObject, extra: int) -> None:
    new = data.draw(st.lists(st.integers(1, 5), min_size=len(old), max_size=len(old)))
    table = torch.cat([torch.full((1, extra, 3), 7.0), torch.ones(1, torch.Size(old).numel(), 3)], dim=1)
    resized = resize_positions(table, old, new, "linear", align_corners=True)
    assert resized.shape == (1, extra + torch.Size(new).numel(), 3)
    assert torch.equal(resized[:, :extra], table[:, :extra])
    torch.testing.assert_close(resized[:, extra:], torch.ones_like(resized[:, extra:]))


def test_positions_keep_the_order_of_their_axes() -> None:
    table = torch.arange(6.0).reshape(1, 6, 1)  # 2 rows of 3
    assert resize_positions(table, (2, 3), (4, 3), "nearest").flatten().tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]


@given(st.integers(1, 30), st.integers(1, 3))
def test_a_grid_of_equal_sides_is_inferred(side: int, rank: int) -> None:
    assert cubic_grid(side**rank, rank) == (side,) * rank
    assert rank == 1 or cubic_grid(side**rank + 1, rank) is None


def test_the_models_grid_comes_first_and_others_are_refused() -> None:
    assert infer_grid(16, (2, 8), "") == (2, 8)
    assert infer_grid(16, (3, 8), "") == (4, 4)
    with pytest.raises(CheckpointError, match="positions for 15 patches, the model for 3 x 8; their grid cannot be"):
        infer_grid(15, (3, 8), "set img_size")


def test_axes_of_flax_become_those_of_torch() -> None:
    query, out, conv = torch.randn(6, 2, 3), torch.randn(2, 3, 6), torch.randn(5, 4, 3, 8)
    x, image = torch.randn(7, 6), torch.randn(1, 3, 5, 4)
    state = flax.as_torch(
        {"a/query/kernel": query, "a/out/kernel": out, "c/kernel": conv, "n/scale": torch.ones(1, 1, 6)}
    )
    heads = torch.einsum("nd,dhk->nhk", x, query)
    torch.testing.assert_close(x @ state["a/query/kernel"].T, heads.flatten(1))
    torch.testing.assert_close(heads.flatten(1) @ state["a/out/kernel"].T, torch.einsum("nhk,hkd->nd", heads, out))
    expected: Tensor = torch.einsum("bchw,hwcd->bd", image, conv)
    torch.testing.assert_close(torch.nn.functional.conv2d(image, state["c/kernel"]).flatten(1), expected)
    assert state["n/scale"].shape == (6,)


def test_the_guides_translation_loads_what_fits_and_explains_the_rest() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    (code,) = (block for block in blocks if "def translate(" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    options = LinearClassifierOptions(name="classification")
    target, info = TargetInfo("case", "class", ("a", "b")), InputInfo("image", 3, (8, 8))
    backbone = nn.ModuleDict({"stages": nn.Conv2d(3, 4, 1)})
    model = Model(backbone, LinearClassifier(options, FeatureInfo(embedding=4), info, target))
    state = {f"features.{name}": tensor for name, tensor in backbone["stages"].state_dict().items()}
    state |= {"fc.weight": torch.zeros(5, 4), "fc.bias": torch.zeros(5), "bn.num_batches_tracked": torch.zeros(())}
    result = names["translate"](state, "", model)
    assert result.tensors.keys() == {"backbone.stages.weight", "backbone.stages.bias"}
    assert result.dropped.keys() == {"fc.weight", "fc.bias", "bn.num_batches_tracked"}
    assert result.fresh.keys() == {"head.classifier.weight", "head.classifier.bias"}
