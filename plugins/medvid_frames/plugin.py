"""Frame by frame: a ViT for images, and two encoders of time over what any backbone of images sees in each frame."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, Example

_SMALL_VIT = {"img_size": [16, 16], "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "taps": [0]}


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute the backbones `vit`, `stam` and `vtn`."""
    return (
        BackboneSpec(
            name="vit",
            target="medvid_frames.vit:ViT",
            config="medvid_frames.config:ViTOptions",
            summary="plain ViT over the patches of an image",
            paper="Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021",
            layouts=("image",),
            features=("maps", "embedding"),
            weights="medvid_frames.weights:translate_vit",
            examples=(Example(_SMALL_VIT, layout="image", size=(16, 16)),),
        ),
        BackboneSpec(
            name="stam",
            target="medvid_frames.stam:STAM",
            config="medvid_frames.config:STAMOptions",
            summary="transformer over the embeddings that any backbone of images gives of a clip's frames",
            paper="Sharir et al., An Image is Worth 16x16 Words, What is a Video Worth?, 2021",
            layouts=("video",),
            features=("maps", "embedding"),
            weights="medvid_frames.weights:translate_stam",
            inner="frame",
            examples=(
                Example(
                    {
                        "frame": {"name": "vit", **_SMALL_VIT},
                        "num_frames": 4,
                        "num_layers": 1,
                        "num_heads": 2,
                        "dim_feedforward": 32,
                    },
                    layout="video",
                    size=(4, 16, 16),
                ),
            ),
        ),
        BackboneSpec(
            name="vtn",
            target="medvid_frames.vtn:VTN",
            config="medvid_frames.config:VTNOptions",
            summary="Longformer over the embeddings that any backbone of images gives of a video's frames",
            paper="Neimark et al., Video Transformer Network, ICCV Workshops 2021",
            layouts=("video",),
            features=("maps", "embedding"),
            weights="medvid_frames.weights:translate_vtn",
            inner="frame",
            examples=(
                Example(
                    {
                        "frame": {"name": "vit", **_SMALL_VIT},
                        "num_hidden_layers": 2,
                        "num_attention_heads": 2,
                        "intermediate_size": 32,
                        "attention_window": 2,
                        "max_position_embeddings": 8,
                    },
                    layout="video",
                    size=(4, 16, 16),
                ),
            ),
            exceptions={
                "gradients": "only the class token is read after the last layer, and it has projections of its own: "
                "those of the frames have no effect there, as in the authors' code"
            },
        ),
    )
