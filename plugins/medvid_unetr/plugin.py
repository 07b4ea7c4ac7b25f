"""UNETR: a transformer over volume patches, and the decoder that turns any feature pyramid into a segmentation."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, Example, HeadSpec

_SMALL = {
    "patch_size": 8,
    "hidden_size": 16,
    "mlp_dim": 32,
    "num_heads": 2,
    "num_layers": 3,
    "taps": [0, 1],
}


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
            examples=(
                Example(_SMALL | {"img_size": [16, 16, 16]}, layout="volume", size=(16, 16, 16)),
                Example(_SMALL | {"img_size": [32, 32]}, layout="image", size=(32, 32)),
            ),
        ),
        HeadSpec(
            name="unetr_decoder",
            target="medvid_unetr.decoder:UnetrDecoder",
            config="medvid_unetr.config:UnetrDecoderOptions",
            summary="convolutional U-Net decoder on any feature pyramid, 2D or 3D",
            task="segmentation",
            needs=("maps",),
            examples=(Example({"feature_size": 4}),),
        ),
    )
