"""R(2+1)D."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone."""
    yield BackboneSpec(
        name="r2plus1d",
        target="medvid_r2plus1d.model:R2Plus1D",
        config="medvid_r2plus1d.config:R2Plus1DOptions",
        summary="3D ResNet of convolutions over space, then over time",
        paper="Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_r2plus1d.weights:translate",
        examples=(Example({"blocks": [1, 1, 1, 1], "width": 4}, axes="video", size=(8, 32, 32)),),
    )
