"""Heads for any backbone."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import ComponentSpec, Example, HeadSpec


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the heads `pixel` and `classification`."""
    return (
        HeadSpec(
            name="pixel",
            target="medvid_heads.pixel:PixelHead",
            config="medvid_heads.config:PixelHeadOptions",
            summary="1x1 convolution of the finest map, 2D or 3D",
            task="segmentation",
            needs=("maps",),
        ),
        HeadSpec(
            name="classification",
            target="medvid_heads.classification:LinearClassifier",
            config="medvid_heads.config:LinearClassifierOptions",
            summary="linear classifier of the embedding, or of the pooled coarsest map",
            task="classification",
            needs=("embedding", "maps"),
            examples=(
                Example(),
                Example({"hidden_dim": 8, "dropout": 0.1, "mix": {"mixup": 0.8, "cutmix": 1.0}}),
                Example({"mix": {"mixup": 0.8}, "loss": {"label_smoothing": 0.1, "class_weights": [1, 2, 5]}}),
            ),
        ),
    )
