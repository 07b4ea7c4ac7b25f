"""UNETR: a transformer over volume patches, and the decoder that turns any feature pyramid into a segmentation."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, HeadSpec, ProtocolSpec, hookimpl

_SMALL = {
    "patch_size": 8,
    "hidden_size": 16,
    "mlp_dim": 32,
    "num_heads": 2,
    "num_layers": 3,
    "taps": [0, 1],
}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `unetr`, the head `unetr_decoder` and the protocol `unetr`."""
    yield BackboneSpec(
        name="unetr",
        target="medvid_unetr.model:UNETR",
        config="medvid_unetr.config:UNETROptions",
        summary="ViT over the patches of a volume (or image), tapped at several depths",
        paper="Hatamizadeh et al., UNETR: Transformers for 3D Medical Image Segmentation, WACV 2022",
        axes=("image", "volume"),
        features=("maps", "embedding"),
        weights="medvid_unetr.weights:translate",
        fit="medvid_unetr.weights:fit",
        examples=(
            Example(_SMALL | {"img_size": [16, 16, 16]}, axes="volume", size=(16, 16, 16)),
            Example(_SMALL | {"img_size": [32, 32]}, axes="image", size=(32, 32)),
        ),
    )
    yield HeadSpec(
        name="unetr_decoder",
        target="medvid_unetr.decoder:UnetrDecoder",
        config="medvid_unetr.config:UnetrDecoderOptions",
        summary="convolutional U-Net decoder on any feature pyramid, 2D or 3D",
        where="voxel",
        what=("class", "labels", "value"),
        needs=("maps",),
        examples=(Example({"feature_size": 4}),),
    )
    yield ProtocolSpec(
        name="unetr",
        target="medvid_unetr.protocol:unetr_protocol",
        config="medvid_unetr.config:UnetrProtocolOptions",
        summary="Dice, HD95 and surface Dice on the prepared grid, as the UNETR authors score",
        where=("voxel",),
    )
