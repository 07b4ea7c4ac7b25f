"""VideoMAE: a ViT over tubelets, of the masked autoencoders VideoMAE and VideoMAE V2."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl

_SMALL = {"img_size": 16, "patch_size": 8, "num_frames": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "taps": [0]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbone `videomae`."""
    yield BackboneSpec(
        name="videomae",
        target="medvid_videomae.model:VideoMAE",
        config="medvid_videomae.config:VideoMAEOptions",
        summary="ViT over tubelets with fixed positions, pre-trained as a masked autoencoder of videos",
        paper="Tong et al., VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video "
        "Pre-Training, NeurIPS 2022; Wang et al., VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking, "
        "CVPR 2023",
        axes=("video",),
        features=("maps", "embedding"),
        weights="medvid_videomae.weights:translate",
        examples=(
            Example(_SMALL, axes="video", size=(4, 16, 16)),
            Example(_SMALL | {"use_mean_pooling": False}, axes="video", size=(4, 16, 16)),
        ),
    )
