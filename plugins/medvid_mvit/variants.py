"""The published models as options, see `medvid_mvit.config.MViTOptions.variant`."""

from collections.abc import Sequence
from typing import Any


def _stages(starts: Sequence[int]) -> dict[str, Any]:
    """Twice the width and the heads, and half the resolution of a frame, from each of these blocks on."""
    doubled = tuple((block, 2.0) for block in starts)
    return {"dim_mul": doubled, "head_mul": doubled, "pool_q_stride": tuple((block, 1, 2, 2) for block in starts)}


def _v2(depth: int, starts: Sequence[int], drop_path: float, **others: Any) -> dict[str, Any]:
    """MViTv2: queries are pooled in every block, positions are relative (sections 4.1 and 4.2)."""
    strides = tuple((block, 1, 2, 2) if block in starts else (block, 1, 1, 1) for block in range(depth))
    return {
        "depth": depth,
        **_stages(starts),
        "pool_q_stride": strides,
        "use_abs_pos": False,
        "rel_pos_spatial": True,
        "rel_pos_temporal": True,
        "residual_pooling": True,
        "dim_mul_in_att": True,
        "droppath_rate": drop_path,
        **others,
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "mvit_b_16x4": {"depth": 16, **_stages((1, 3, 14)), "droppath_rate": 0.2},
    "mvit_b_32x3": {"depth": 16, **_stages((1, 3, 14)), "droppath_rate": 0.3},
    "mvit_b_24_32x3": {"depth": 24, **_stages((2, 5, 21)), "pool_kvq_kernel": None, "droppath_rate": 0.3},
    "mvitv2_s": _v2(16, (1, 3, 14), 0.2),
    "mvitv2_b": _v2(24, (2, 5, 21), 0.3),
    "mvitv2_l": _v2(48, (2, 8, 44), 0.75, embed_dim=144, num_heads=2),
}
"""What differs from the defaults, which are MViT-B's. `mvit_b_24_32x3` is what PySlowFast calls MVIT_B_32x3: it has 24
blocks and kernels that grow with their strides, where pytorchvideo's model of that name has 16 and kernels of 3."""
