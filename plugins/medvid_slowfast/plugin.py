"""Convolutional baselines for video: SlowFast and X3D, built by pytorchvideo."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, Example


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the backbones `slowfast` and `x3d`."""
    return (
        BackboneSpec(
            name="slowfast",
            target="medvid_slowfast.model:SlowFast",
            config="medvid_slowfast.config:SlowFastOptions",
            summary="3D ResNet of two pathways: few frames and many channels, many frames and few channels",
            paper="Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019",
            layouts=("video",),
            features=("maps", "embedding"),
            weights="medvid_slowfast.weights:translate_slowfast",
            examples=(Example({"depth": 18, "alpha": 2, "width": 8}, layout="video", size=(4, 32, 32)),),
        ),
        BackboneSpec(
            name="x3d",
            target="medvid_slowfast.model:X3D",
            config="medvid_slowfast.config:X3DOptions",
            summary="small 3D ResNet of channel-wise convolutions",
            paper="Feichtenhofer, X3D: Expanding Architectures for Efficient Video Recognition, CVPR 2020",
            layouts=("video",),
            features=("maps", "embedding"),
            weights="medvid_slowfast.weights:translate_x3d",
            examples=(
                Example({"width_factor": 0.5, "depth_factor": 0.5, "head_dim": 32}, layout="video", size=(4, 32, 32)),
            ),
        ),
    )
