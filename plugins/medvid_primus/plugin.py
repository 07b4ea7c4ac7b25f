"""Primus: a transformer over cubes of voxels, with as few convolutions as possible."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, HeadSpec, hookimpl

_SMALL = {"img_size": [16, 16, 16], "hidden_size": 24, "num_layers": 2, "num_heads": 2}
_PAPER = "Wald et al., Primus: Enforcing Attention Usage for 3D Medical Image Segmentation, 2025"


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `primus` and the head `primus_decoder`."""
    yield BackboneSpec(
        name="primus",
        target="medvid_primus.model:Primus",
        config="medvid_primus.config:PrimusOptions",
        summary="EVA-02 transformer over 8 x 8 x 8 voxels of a volume, with a convolutional stem in versions 2 and 3",
        paper=_PAPER,
        axes=("volume",),
        features=("maps", "embedding"),
        weights="medvid_primus.weights:translate",
        fit="medvid_primus.weights:fit",
        examples=(
            Example(_SMALL | {"stem_channels": [4, 4, 6, 8]}, axes="volume", size=(16, 16, 16)),
            Example(_SMALL | {"stem": "v1"}, axes="volume", size=(16, 16, 16)),
        ),
    )
    yield HeadSpec(
        name="primus_decoder",
        target="medvid_primus.decoder:PrimusDecoder",
        config="medvid_primus.config:PrimusDecoderOptions",
        summary="transposed convolutions from the coarsest map to the resolution of the input, 2D or 3D",
        paper=_PAPER,
        where="voxel",
        what=("class", "labels"),
        needs=("maps",),
        examples=(Example(),),
    )
