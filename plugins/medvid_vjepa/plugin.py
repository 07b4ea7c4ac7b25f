"""V-JEPA 2: a ViT over tubelets that was pre-trained to predict features of videos."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl

_SMALL = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "taps": [0]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `vjepa`."""
    yield BackboneSpec(
        name="vjepa",
        target="medvid_vjepa.model:VJEPA",
        config="medvid_vjepa.config:VJEPAOptions",
        summary="ViT over tubelets with rotary positions, pre-trained to predict features of hidden tubelets",
        paper="Assran et al., V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning, "
        "2025",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_vjepa.weights:translate",
        examples=(
            Example(_SMALL, axes="video", size=(4, 16, 16)),
            Example(_SMALL | {"num_pooler_layers": 1}, axes="video", size=(4, 16, 16)),
        ),
    )
