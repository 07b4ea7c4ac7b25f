"""DeepViT, T2T-ViT, LocalViT and CvT from the modules of vit-pytorch, which by themselves return only logits."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from vit_pytorch.cvt import CvT
from vit_pytorch.deepvit import DeepViT
from vit_pytorch.local_vit import LocalViT
from vit_pytorch.t2t import T2TViT

from medvid.errors import ConfigError
from medvid.plugin import InputInfo
from medvid_timm.config import VitPytorchOptions
from medvid_timm.measured import MeasuredBackbone, chosen

MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "deepvit": (DeepViT, {"patch_size": 16, "dim": 384, "depth": 16, "heads": 12, "dim_head": 32, "mlp_dim": 1152}),
    "t2t_vit": (T2TViT, {"dim": 384, "depth": 14, "heads": 6, "dim_head": 64, "mlp_dim": 1152}),
    "local_vit": (LocalViT, {"patch_size": 16, "dim": 192, "depth": 12, "heads": 4, "dim_head": 48, "mlp_dim": 768}),
    "cvt": (CvT, {}),
}
"""The class of each model, and its default arguments."""


class Block(nn.Module):
    """Attention and MLP of a transformer, each with a residual connection.

    Args:
        attention: maps tokens to tokens.
        mlp: maps tokens to tokens, after the attention.
    """

    def __init__(self, attention: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.attention, self.mlp = attention, mlp

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, 1 + N, D) to tokens (B, 1 + N, D)."""
        x = x + self.attention(x)
        out: Tensor = x + self.mlp(x)
        return out


class LocalMLP(nn.Module):
    """The MLP of LocalViT (Li et al., 2021, section 3.2): convolutions on the map of the patches.

    Its norm is over the channels of a token. vit-pytorch applies one to the columns of the map, and so works only if
    the grid of patches is as wide as a token.

    Args:
        dim: width of a token.
        layers: vit-pytorch's norm, which is replaced, and the convolutions.
    """

    def __init__(self, dim: int, layers: nn.Sequential) -> None:
        super().__init__()
        self.norm, self.convolutions = nn.LayerNorm(dim), layers[1:]

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, 1 + N, D) to tokens (B, 1 + N, D), zero for the class token, which is not in the map."""
        patches = self.convolutions(_as_square(self.norm(x[:, 1:])))
        return functional.pad(patches.flatten(2).transpose(1, 2), (0, 0, 1, 0))


class Tokens(nn.Module):
    """A transformer over a class token and patches: all models except CvT.

    Args:
        model: vit-pytorch's model, whose parts are used.
        out_indices: blocks whose output is a map, see `chosen`.
        title: its name in messages.
    """

    def __init__(self, model: Any, out_indices: Sequence[int] | None, title: str) -> None:
        super().__init__()
        self.cls_token, self.pos_embedding = model.cls_token, model.pos_embedding
        self.to_patch_embedding, self.dropout = model.to_patch_embedding, model.dropout
        pairs = model.transformer.layers
        if isinstance(model, LocalViT):  # whose layers come wrapped in their residual connections
            dim = model.cls_token.shape[-1]
            pairs = [(attention.fn, LocalMLP(dim, mlp.fn.fn.net)) for attention, mlp in pairs]
        self.layers = nn.ModuleList(Block(*pair) for pair in pairs)
        self.norm = model.transformer.norm if isinstance(model, T2TViT) else model.mlp_head[0]
        self.indices = chosen(out_indices, [1] * len(self.layers), title)

    def forward(self, input: Tensor) -> tuple[list[Tensor], Tensor]:
        """Map (B, C, H, W) to the patches after the chosen blocks and to the normalised class token (B, D)."""
        patches = self.to_patch_embedding(input)  # B, N, D
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embedding
        tokens, maps = self.dropout(tokens), []
        for index, layer in enumerate(self.layers):
            tokens = layer(tokens)
            if index in self.indices:
                maps.append(_as_square(tokens[:, 1:]))
        return maps, self.norm(tokens[:, 0])

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the class token and the positions."""
        return "cls_token", "pos_embedding"


class Stages(nn.Module):
    """CvT: stages of a strided convolution and a transformer on its map.

    Args:
        model: vit-pytorch's model, whose parts are used.
        out_indices: stages whose output is a map, see `chosen`.
        title: its name in messages.
    """

    tables = ()

    def __init__(self, model: Any, out_indices: Sequence[int] | None, title: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(model.layers)
        strides = [stage[0].stride[0] for stage in model.layers]
        self.indices = chosen(out_indices, [prod(strides[: end + 1]) for end in range(len(strides))], title)

    def forward(self, input: Tensor) -> tuple[list[Tensor], Tensor]:
        """Map (B, C, H, W) to the maps of the chosen stages and to the mean of the last one (B, D)."""
        x, maps = input, []
        for index, stage in enumerate(self.layers):
            x = stage(x)
            if index in self.indices:
                maps.append(x)
        return maps, x.mean(dim=(2, 3))


class VitPytorchBackbone(MeasuredBackbone):
    """A model of vit-pytorch without its classifier.

    Args:
        options: the backbone's options.
        input_info: its inputs.

    Raises:
        ConfigError: vit-pytorch cannot build the model with these options, or it cannot take these inputs.
    """

    def __init__(self, options: VitPytorchOptions, input_info: InputInfo) -> None:
        super().__init__(options.model, input_info)
        model = create_model(options, input_info)
        self.fixed = not isinstance(model, CvT)
        network: type[Tokens | Stages] = Stages if isinstance(model, CvT) else Tokens
        self.model = network(model, options.out_indices, options.model)
        self.measure()

    def encode(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Map (B, C, H, W) to the chosen maps and the embedding (B, D)."""
        maps, embedding = self.model(input)
        return maps, embedding

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The transformer blocks; in CvT the stages."""
        return tuple(self.model.layers)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """The class token and the positions, if there are any."""
        return tuple(f"model.{name}" for name in self.model.tables)


def create_model(options: VitPytorchOptions, info: InputInfo) -> Any:
    """Let vit-pytorch build the model.

    Raises:
        ConfigError: it cannot be built with these options.
    """
    kind, defaults = MODELS[options.model]
    arguments = {**defaults, "channels": info.channels, "num_classes": 1, "dropout": options.dropout}
    if kind is not CvT:
        arguments["image_size"] = info.size[0]
    try:
        return kind(**arguments | options.model_args)
    except Exception as error:
        raise ConfigError(
            f"vit-pytorch cannot build {options.model} for inputs of size {list(info.size)}: {error}",
            hint="correct the options of the backbone, first of all model_args",
        ) from error


def _as_square(tokens: Tensor) -> Tensor:
    """Patches (B, N, D) to a map (B, D, sqrt(N), sqrt(N))."""
    edge = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, edge, edge)
