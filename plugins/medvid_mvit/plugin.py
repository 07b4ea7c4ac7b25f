"""MViT: a transformer whose attention pools its tokens, stage by stage fewer and wider."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl

_SMALL = {
    "embed_dim": 8,
    "depth": 3,
    "dim_mul": [[1, 2.0]],
    "head_mul": [[1, 2.0]],
    "pool_q_stride": [[1, 1, 2, 2]],
    "pool_kv_stride_adaptive": [1, 2, 2],
}
_VERSION_2 = {
    "dim_mul_in_att": True,
    "rel_pos_spatial": True,
    "rel_pos_temporal": True,
    "use_abs_pos": False,
    "residual_pooling": True,
}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `mvit`."""
    yield BackboneSpec(
        name="mvit",
        target="medvid_mvit.model:MViT",
        config="medvid_mvit.config:MViTOptions",
        summary="multiscale vision transformer, v1 and v2: a pyramid of feature maps and an embedding of a clip",
        paper="Fan et al., Multiscale Vision Transformers, ICCV 2021; "
        "Li et al., MViTv2: Improved Multiscale Vision Transformers for Classification and Detection, CVPR 2022",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_mvit.weights:translate",
        fit="medvid_mvit.weights:fit",
        examples=(
            Example(_SMALL, axes="video", size=(4, 32, 32)),
            Example(_SMALL | _VERSION_2, axes="video", size=(4, 32, 32)),
        ),
    )
