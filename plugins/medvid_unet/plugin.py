"""nnU-Net's networks: a plain or residual encoder, and the decoder with deep supervision."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, HeadSpec, hookimpl

_VOLUME = {
    "features": [4, 6, 8],
    "strides": [[1, 1, 1], [2, 2, 1], [2, 2, 2]],
    "kernels": [[3, 3, 1], [3, 3, 3], [3, 3, 3]],
}
_IMAGE = {"encoder": "resenc", "features": [4, 6, 8], "strides": [[1, 1], [2, 2], [2, 2]], "blocks": [1, 2, 1]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `unet` and the head `unet_decoder`."""
    yield BackboneSpec(
        name="unet",
        target="medvid_unet.model:UNet",
        config="medvid_unet.config:UNetOptions",
        summary="nnU-Net's encoder, plain or residual, 2D or 3D",
        paper="Isensee et al., nnU-Net: a self-configuring method for deep learning-based biomedical image "
        "segmentation, Nature Methods 2021",
        axes=("image", "volume"),
        features=("maps",),
        weights="medvid_unet.weights:translate",
        examples=(
            Example(_VOLUME, axes="volume", size=(16, 16, 16)),
            Example(_IMAGE, axes="image", size=(32, 32)),
        ),
    )
    yield HeadSpec(
        name="unet_decoder",
        target="medvid_unet.decoder:UNetDecoder",
        config="medvid_unet.config:UNetDecoderOptions",
        summary="nnU-Net's decoder with deep supervision, on any feature pyramid, 2D or 3D",
        where="voxel",
        what=("class", "labels", "value"),
        needs=("maps",),
        examples=(Example(),),
    )
