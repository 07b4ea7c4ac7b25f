"""TransUNet: a ResNet and a ViT as one encoder, and the decoder that turns any feature pyramid into a segmentation."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, HeadSpec, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `transunet`, the head `cascaded_upsampler` and the protocol `transunet`."""
    yield BackboneSpec(
        name="transunet",
        target="medvid_transunet.model:TransUNet",
        config="medvid_transunet.config:TransUNetOptions",
        summary="ResNet-50 with a ViT on top of it, or the ViT alone",
        paper="Chen et al., TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation, 2021",
        axes=("image",),
        features=("maps", "embedding"),
        weights="medvid_transunet.weights:translate",
        fit="medvid_transunet.weights:fit",
        examples=(
            Example(
                {
                    "img_size": [32, 32],
                    "resnet": {"num_layers": [1, 1, 1], "width_factor": 0.5},
                    "hidden_size": 16,
                    "mlp_dim": 32,
                    "num_heads": 2,
                    "num_layers": 2,
                },
                axes="image",
                size=(32, 32),
            ),
        ),
    )
    yield HeadSpec(
        name="cascaded_upsampler",
        target="medvid_transunet.decoder:CascadedUpsampler",
        config="medvid_transunet.config:CascadedUpsamplerOptions",
        summary="TransUNet's decoder on any feature pyramid, 2D or 3D",
        where="voxel",
        what=("class", "labels", "value"),
        needs=("maps",),
        examples=(Example({"head_channels": 8, "decoder_channels": [8, 8, 4, 4]}),),
    )
    yield ProtocolSpec(
        name="transunet",
        target="medvid_transunet.protocol:transunet_protocol",
        config="medvid.config.options:ProtocolOptions",
        summary="Dice and medpy's HD95 in voxels on the grid of the files, as the TransUNet authors score",
        where=("voxel",),
    )
