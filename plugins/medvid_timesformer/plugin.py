"""TimeSformer: a transformer of video that attends over time and over space in turn."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone and the protocol `timesformer`."""
    yield BackboneSpec(
        name="timesformer",
        target="medvid_timesformer.model:TimeSformer",
        config="medvid_timesformer.config:TimeSformerOptions",
        summary="ViT over the patches of all frames, attention over time and over space in turn",
        paper="Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_timesformer.weights:translate",
        fit="medvid_timesformer.weights:fit",
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
                axes="video",
                size=(4, 16, 16),
            ),
        ),
    )
    yield ProtocolSpec(
        name="timesformer",
        target="medvid_timesformer.protocol:timesformer_protocol",
        config="medvid.config.options:ProtocolOptions",
        summary="mean of the raw logits, clips at i / clips of the length, as the TimeSformer authors score",
        where=("case",),
    )
