"""TransUNet: a ResNet and a ViT as one encoder, and the decoder that turns any feature pyramid into a segmentation."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, HeadSpec


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the backbone `transunet` and the head `cascaded_upsampler`."""
    return (
        BackboneSpec(
            name="transunet",
            target="medvid_transunet.model:TransUNet",
            config="medvid_transunet.config:TransUNetOptions",
            summary="ResNet-50 with a ViT on top of it, or the ViT alone",
            paper="Chen et al., TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation, 2021",
            layouts=("image",),
            features=("maps", "embedding"),
            weights="medvid_transunet.weights:translate",
        ),
        HeadSpec(
            name="cascaded_upsampler",
            target="medvid_transunet.decoder:CascadedUpsampler",
            config="medvid_transunet.config:CascadedUpsamplerOptions",
            summary="TransUNet's decoder on any feature pyramid, 2D or 3D",
            task="segmentation",
            needs=("maps",),
        ),
    )
