"""ViT: a plain transformer over the patches of an image."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl

_SMALL = {"img_size": [16, 16], "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "taps": [0]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `vit`."""
    yield BackboneSpec(
        name="vit",
        target="medvid_vit.model:ViT",
        config="medvid_vit.config:ViTOptions",
        summary="plain ViT over the patches of an image",
        paper="Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021",
        axes=("image",),
        features=("maps", "embedding"),
        weights="medvid_vit.weights:translate",
        fit="medvid_vit.weights:fit",
        examples=(Example(_SMALL, axes="image", size=(16, 16)),),
    )
