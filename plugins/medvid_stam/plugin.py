"""STAM: a transformer over the embeddings that any backbone of images gives of a clip's frames."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl

_FRAME = {
    "name": "vit",
    "img_size": [16, 16],
    "patch_size": 8,
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
    "taps": [0],
}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `stam`."""
    yield BackboneSpec(
        name="stam",
        target="medvid_stam.model:STAM",
        config="medvid_stam.config:STAMOptions",
        summary="transformer over the embeddings that any backbone of images gives of a clip's frames",
        paper="Sharir et al., An Image is Worth 16x16 Words, What is a Video Worth?, 2021",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_stam.weights:translate",
        fit="medvid_stam.weights:fit",
        examples=(
            Example(
                {
                    "frame": _FRAME,
                    "num_frames": 4,
                    "num_layers": 1,
                    "num_heads": 2,
                    "dim_feedforward": 32,
                },
                axes="video",
                size=(4, 16, 16),
            ),
        ),
    )
