"""ViViT: transformers over the tubelets of a clip, joint or factorised over space and time."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `vivit`."""
    yield BackboneSpec(
        name="vivit",
        target="medvid_vivit.model:ViViT",
        config="medvid_vivit.config:ViViTOptions",
        summary="transformer over the tubelets of a clip; models 1 to 4 of the paper",
        paper="Arnab et al., ViViT: A Video Vision Transformer, ICCV 2021",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_vivit.weights:translate",
        fit="medvid_vivit.weights:fit",
        examples=tuple(
            Example(
                {
                    "model": model,
                    "num_frames": 4,
                    "image_size": [16, 16],
                    "tubelet_size": [2, 8, 8],
                    "hidden_size": 16,
                    "num_layers": 2,
                    "num_heads": 2,
                    "mlp_dim": 32,
                    "temporal_num_layers": 1,
                    "taps": [0],
                },
                axes="video",
                size=(4, 16, 16),
            )
            for model in ("joint", "factorised_encoder")
        ),
    )
