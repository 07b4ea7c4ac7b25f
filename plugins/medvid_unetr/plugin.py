"""UNETR: a transformer over volume patches, and the decoder that turns any feature pyramid into a segmentation."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, HeadSpec


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the backbone `unetr` and the head `unetr_decoder`."""
    return (
        BackboneSpec(
            name="unetr",
            target="medvid_unetr.model:UNETR",
            config="medvid_unetr.config:UNETROptions",
            summary="ViT over the patches of a volume (or image), tapped at several depths",
            paper="Hatamizadeh et al., UNETR: Transformers for 3D Medical Image Segmentation, WACV 2022",
            layouts=("image", "volume"),
            features=("maps", "embedding"),
            weights="medvid_unetr.weights:translate",
        ),
        HeadSpec(
            name="unetr_decoder",
            target="medvid_unetr.decoder:UnetrDecoder",
            config="medvid_unetr.config:UnetrDecoderOptions",
            summary="convolutional U-Net decoder on any feature pyramid, 2D or 3D",
            task="segmentation",
            needs=("maps",),
        ),
    )
