"""MedT: gated axial attention over the whole image, and over its patches."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, Example


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the backbone `medt`."""
    return (
        BackboneSpec(
            name="medt",
            target="medvid_medt.model:MedT",
            config="medvid_medt.config:MedTOptions",
            summary="U-Net of gated axial attention, on the whole image and on its patches",
            paper="Valanarasu et al., Medical Transformer: Gated Axial-Attention for Medical Image Segmentation, "
            "MICCAI 2021",
            layouts=("image",),
            features=("maps", "embedding"),
            weights="medvid_medt.weights:translate",
            examples=(
                Example(
                    {
                        "img_size": [32, 32],
                        "layers": [1, 1, 1, 1],
                        "groups": 2,
                        "width_per_group": 16,
                        "patch_grid": [2, 2],
                    },
                    layout="image",
                    size=(32, 32),
                ),
            ),
        ),
    )
