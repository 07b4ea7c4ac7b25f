"""The models of timm and of vit-pytorch, two collections of image models, as backbones."""

from collections.abc import Iterable

from medvid.plugin import BackboneSpec, ComponentSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the backbones `timm` and `vit_pytorch`."""
    yield BackboneSpec(
        name="timm",
        target="medvid_timm.model:TimmBackbone",
        config="medvid_timm.config:TimmOptions",
        summary="the models of timm: ViT, DeiT, Swin, PVTv2, EfficientNetV2, NFNet and a thousand more",
        paper="Wightman, PyTorch Image Models, 2019; for each model, the paper that timm names",
        axes=("image",),
        features=("maps", "embedding"),
        weights="medvid_timm.weights:translate",
        examples=(
            _example("vit_tiny_patch16_224", 32, fixed=True, embed_dim=24, depth=2, num_heads=2),
            Example(
                {
                    "model": "swin_tiny_patch4_window7_224",
                    "img_size": [64, 64],
                    "drop_path_rate": 0.0,  # timm's default for Swin is 0.1, and a skipped branch has no gradients
                    "model_args": {"embed_dim": 12, "depths": [1, 2, 1], "num_heads": [1, 2, 2], "window_size": 4},
                },
                axes="image",
                size=(64, 64),
            ),
            _example("test_efficientnet", 64, fixed=False),
        ),
    )
    yield BackboneSpec(
        name="vit_pytorch",
        target="medvid_timm.vit_pytorch:VitPytorchBackbone",
        config="medvid_timm.config:VitPytorchOptions",
        summary="DeepViT, T2T-ViT, CvT or LocalViT, from vit-pytorch",
        paper="Zhou et al., Yuan et al., Wu et al. and Li et al., in this order, all 2021",
        axes=("image",),
        features=("maps", "embedding"),
        examples=(
            _example("deepvit", 32, fixed=True, dim=16, depth=2, heads=2, dim_head=8, mlp_dim=32),
            _example("t2t_vit", 32, fixed=True, dim=16, depth=2, heads=2, dim_head=8, mlp_dim=32),
            _example("local_vit", 32, fixed=True, dim=16, depth=2, heads=2, dim_head=8, mlp_dim=32),
            _example("cvt", 64, fixed=False, s1_emb_dim=8, s2_emb_dim=16, s3_emb_dim=24, s3_depth=1),
        ),
    )


def _example(model: str, length: int, *, fixed: bool, **model_args: object) -> Example:
    """A model made small.

    Args:
        model: its name.
        length: of the input's edges.
        fixed: it is built only for inputs of that size.
        **model_args: arguments that make it small.
    """
    img_size = {"img_size": [length, length]} if fixed else {}
    return Example({"model": model, **img_size, "model_args": model_args}, axes="image", size=(length, length))
