"""VTN: a Longformer over the embeddings that any backbone of images gives of a video's frames."""

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
    """Contribute the backbone `vtn`."""
    yield BackboneSpec(
        name="vtn",
        target="medvid_vtn.model:VTN",
        config="medvid_vtn.config:VTNOptions",
        summary="Longformer over the embeddings that any backbone of images gives of a video's frames",
        paper="Neimark et al., Video Transformer Network, ICCV Workshops 2021",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_vtn.weights:translate",
        fit="medvid_vtn.weights:fit",
        examples=(
            Example(
                {
                    "frame": _FRAME,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "intermediate_size": 32,
                    "attention_window": 2,
                    "max_position_embeddings": 8,
                },
                axes="video",
                size=(4, 16, 16),
            ),
        ),
        exceptions={
            "gradients": "only the class token is read after the last layer, and it has projections of its own: "
            "those of the frames have no effect there, as in the authors' code"
        },
    )
