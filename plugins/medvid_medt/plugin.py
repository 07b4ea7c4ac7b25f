"""MedT: gated axial attention over the whole image, and over its patches."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone and the protocol `medt`."""
    yield BackboneSpec(
        name="medt",
        target="medvid_medt.model:MedT",
        config="medvid_medt.config:MedTOptions",
        summary="U-Net of gated axial attention, on the whole image and on its patches",
        paper="Valanarasu et al., Medical Transformer: Gated Axial-Attention for Medical Image Segmentation, "
        "MICCAI 2021",
        axes=("image",),
        features=("maps", "embedding"),
        weights="medvid_medt.weights:translate",
        fit="medvid_medt.weights:fit",
        examples=(
            Example(
                {
                    "img_size": [32, 32],
                    "layers": [1, 1, 1, 1],
                    "groups": 2,
                    "width_per_group": 16,
                    "patch_grid": [2, 2],
                },
                axes="image",
                size=(32, 32),
            ),
        ),
    )
    yield ProtocolSpec(
        name="medt",
        target="medvid_medt.protocol:medt_protocol",
        config="medvid_medt.config:MedTProtocolOptions",
        summary="F1 and IoU of two labels at the size of the model, as the MedT authors score",
        where=("voxel",),
    )
