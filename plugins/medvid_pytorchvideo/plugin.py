"""Convolutional baselines for video: SlowFast and X3D, built by pytorchvideo."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbones `slowfast` and `x3d`, and the protocol `slowfast`."""
    yield BackboneSpec(
        name="slowfast",
        target="medvid_pytorchvideo.model:SlowFast",
        config="medvid_pytorchvideo.config:SlowFastOptions",
        summary="3D ResNet of two pathways: few frames and many channels, many frames and few channels",
        paper="Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_pytorchvideo.weights:translate_slowfast",
        examples=(Example({"depth": 18, "alpha": 2, "width": 8}, axes="video", size=(8, 32, 32)),),
    )
    yield BackboneSpec(
        name="x3d",
        target="medvid_pytorchvideo.model:X3D",
        config="medvid_pytorchvideo.config:X3DOptions",
        summary="small 3D ResNet of channel-wise convolutions",
        paper="Feichtenhofer, X3D: Expanding Architectures for Efficient Video Recognition, CVPR 2020",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_pytorchvideo.weights:translate_x3d",
        examples=(Example({"width_factor": 0.5, "depth_factor": 0.5, "head_dim": 32}, axes="video", size=(4, 64, 64)),),
    )
    yield ProtocolSpec(
        name="slowfast",
        target="medvid_pytorchvideo.protocol:slowfast_protocol",
        config="medvid.config.options:ProtocolOptions",
        summary="mean of the softmax (labels: sigmoid) scores, clips from the first to the last frame, as PySlowFast",
        where=("case",),
        what=("class", "labels"),
    )
