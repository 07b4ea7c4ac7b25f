"""What the options of MViT accept, and the blocks and grids that follow from them."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid.plugin.specs import load_attribute
from medvid_mvit.config import MViTOptions
from medvid_mvit.plugin import medvid_components
from medvid_mvit.variants import VARIANTS

FLAT: dict[str, Any] = {"depth": 2, "dim_mul": (), "head_mul": (), "pool_q_stride": (), "pool_kv_stride_adaptive": None}
"""Two blocks that pool nothing."""


def options(**given: Any) -> MViTOptions:
    return MViTOptions.model_validate({"name": "mvit"} | given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 4}, r"dim_mul names block 14, but takes blocks 1 to 4"),
        (FLAT | {"dim_mul": ((0, 2.0),)}, r"dim_mul names block 0, but takes blocks 1 to 2"),
        (FLAT | {"dim_mul": ((2, 2.0),), "dim_mul_in_att": True}, r"dim_mul names block 2, but takes blocks 0 to 1"),
        (FLAT | {"head_mul": ((2, 2.0),)}, "head_mul names block 2"),
        (FLAT | {"pool_q_stride": ((3, 1, 2, 2),)}, "pool_q_stride names block 3"),
        (FLAT | {"pool_kv_stride": ((3, 1, 2, 2),)}, "pool_kv_stride names block 3"),
        (FLAT | {"num_heads": 5}, "block 0 has 96 channels, which is not a multiple of its 5 heads"),
        ({"pool_kv_stride": ((0, 1, 2, 2),)}, "pool_kv_stride_adaptive are both set"),
        ({"pool_q_stride": ((1, 2, 2),)}, "pool_q_stride"),
        ({"droppath_rate": 1.0}, "less than 1"),
        ({"variant": "mvit_s"}, "mvit_b_16x4"),
        ({"weights": {"source": "timm", "path": "x.pyth"}}, "'pytorchvideo', 'torchvision' or 'slowfast'"),
        (
            {"block_setting": [{"num_heads": 1, "input_channels": 8, "output_channels": 16}] * 2},
            "block 1 takes tokens of 8 channels, but gets 16",
        ),
    ],
)
def test_impossible_options_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**given)


def test_the_defaults_are_mvit_b() -> None:
    assert options().blocks == options(variant="mvit_b_16x4").blocks
    blocks = options().blocks
    assert [block.output_channels for block in blocks] == [192, 192, *[384] * 11, 768, 768, 768]
    assert [block.num_heads for block in blocks] == [1, 2, 2, *[4] * 11, 8, 8]
    pools = [block.pool_kv for block in blocks]
    assert [pool.stride for pool in pools if pool] == [(1, 8, 8), *[(1, 4, 4)] * 2, *[(1, 2, 2)] * 11, *[(1, 1, 1)] * 2]
    assert [index for index, block in enumerate(blocks) if block.pool_q] == [1, 3, 14]
    assert options().grids((16, 224, 224))[::5] == [(8, 56, 56), (8, 14, 14), (8, 14, 14), (8, 7, 7)]


def test_v2_widens_in_the_attention_and_pools_all_queries() -> None:
    v2 = options(variant="mvitv2_s")
    assert [block.output_channels for block in v2.blocks] == [96, 192, 192, *[384] * 11, 768, 768]
    assert [v2.attention_channels(block) for block in v2.blocks] == [block.output_channels for block in v2.blocks]
    assert all(block.pool_q for block in v2.blocks)


def test_kernels_can_grow_with_the_strides() -> None:
    blocks = options(variant="mvit_b_24_32x3").blocks
    assert blocks[0].pool_kv is not None
    assert blocks[0].pool_kv.kernel == (1, 9, 9)
    assert blocks[21].pool_q is not None
    assert blocks[21].pool_q.kernel == (1, 3, 3)
    assert blocks[21].pool_kv is None  # strides of 1 get kernels of 1, which do nothing


@pytest.mark.parametrize(
    ("given", "channels"),
    [
        ({"embed_dim": 96, "dim_mul": ((1, 1.01),)}, [97, 97]),
        ({"embed_dim": 6, "dim_mul": ((1, 2.0),), "head_mul": ((1, 8.0),)}, [16, 16]),  # 12, as a multiple of 8 heads
        ({"embed_dim": 10, "dim_mul": ((1, 2.5),), "head_mul": ((1, 2.0),)}, [26, 26]),
        ({"embed_dim": 20, "dim_mul": ((1, 1.5),), "head_mul": ((1, 4.0),), "dim_mul_in_att": True}, [20, 32]),
    ],
)
def test_widths_are_rounded_to_a_multiple_of_the_heads(given: dict[str, Any], channels: list[int]) -> None:
    assert [block.output_channels for block in options(**(FLAT | given)).blocks] == channels


def test_a_variant_gives_way_to_what_is_set() -> None:
    assert options(variant="mvitv2_b").droppath_rate == 0.3
    assert options(variant="mvitv2_b", droppath_rate=0.4).droppath_rate == 0.4
    assert options(variant="mvitv2_b", droppath_rate=0.4).depth == 24
    for variant in VARIANTS:
        options(variant=variant).check_input(InputInfo("video", 3, (16, 224, 224)))


def test_blocks_can_be_set_one_by_one() -> None:
    pooling = {"kernel": [1, 3, 3], "stride": [1, 2, 2]}
    setting = {"num_heads": 2, "input_channels": 8, "output_channels": 8, "pool_q": pooling, "pool_kv": pooling}
    given = options(block_setting=[setting, setting | {"pool_q": None}])
    assert given.grids((4, 32, 32)) == [(2, 8, 8), (2, 4, 4), (2, 4, 4)]


def test_the_norms_of_pooled_tokens_follow_the_weights() -> None:
    weights = {"source": "pytorchvideo", "path": "x.pyth"}
    assert options().pool_norm_eps == 1e-6
    assert options(weights=weights).pool_norm_eps == 1e-5
    assert options(weights=weights | {"source": "slowfast"}).pool_norm_eps == 1e-6
    assert options(weights=weights, pool_norm_eps=1e-6).pool_norm_eps == 1e-6


@pytest.mark.parametrize(
    ("given", "size", "message"),
    [
        ({"patch_padding": (0, 0, 0)}, (2, 224, 224), r"clips of size \[2, 224, 224\] are too small: block 0"),
        (
            {"pool_kvq_kernel": (2, 3, 3)},
            (4, 32, 32),
            r"block 1 pools queries to \[3, 4, 4\] tokens, but .* \[2, 4, 4\]",
        ),
        (FLAT | {"pool_q_stride": ((1, 1, 3, 3),)}, (2, 24, 24), "odd kernels"),
    ],
)
def test_clips_that_cannot_be_pooled_are_refused(given: dict[str, Any], size: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(**given).check_input(InputInfo("video", 3, size))


def test_components_resolve_and_listing_them_imports_no_torch() -> None:
    for spec in medvid_components():
        assert load_attribute(spec.target).__name__ == spec.target.partition(":")[2]
        assert load_attribute(spec.config) is MViTOptions
    code = "import sys, medvid_mvit.plugin, medvid_mvit.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
