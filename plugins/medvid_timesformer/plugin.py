"""TimeSformer: a transformer of video that attends over time and over space in turn."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, Example


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the backbone `timesformer`."""
    return (
        BackboneSpec(
            name="timesformer",
            target="medvid_timesformer.model:TimeSformer",
            config="medvid_timesformer.config:TimeSformerOptions",
            summary="ViT over the patches of all frames, attention over time and over space in turn",
            paper="Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021",
            layouts=("video",),
            features=("maps", "embedding"),
            weights="medvid_timesformer.weights:translate",
            examples=(
                Example(
                    {
                        "img_size": 16,
                        "patch_size": 8,
                        "num_frames": 4,
                        "embed_dim": 16,
                        "depth": 2,
                        "num_heads": 2,
                        "taps": [0],
                    },
                    layout="video",
                    size=(4, 16, 16),
                ),
            ),
        ),
    )
