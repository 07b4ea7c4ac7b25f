"""The models of timm: their own feature maps, and the input of their classifier as the embedding."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import timm
from timm.models import get_model_traits, get_pretrained_cfg_value
from torch import Tensor, nn

from medvid.errors import CheckpointError, ConfigError
from medvid.plugin import InputInfo
from medvid_timm.config import TimmOptions
from medvid_timm.measured import MeasuredBackbone, chosen

STACKS = r"blocks|stages|layers|transformers|blocks_token_only|layer\d"
"""Names of the parts of timm's models that hold their blocks."""


class TimmBackbone(MeasuredBackbone):
    """A model of timm without its classifier.

    Args:
        options: the backbone's options.
        input_info: its inputs.

    Raises:
        ConfigError: timm cannot build the model with these options, or it cannot take these inputs.
        CheckpointError: the weights cannot be downloaded.
    """

    model: Any
    """Untyped, like timm; the same elsewhere."""

    def __init__(self, options: TimmOptions, input_info: InputInfo) -> None:
        super().__init__(options.model, input_info)
        self.model = create_model(options, input_info)
        self.fixed = bool(get_model_traits(self.model)["fixed_input_size"])
        if self.fixed:
            check_patches(self.model, input_info.size, options.model)
        reductions = [level["reduction"] for level in self.model.feature_info]
        self.indices = chosen(options.out_indices, reductions, options.model)
        self.measure([reductions[index] for index in self.indices])

    def encode(self, input: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Map (B, C, H, W) to the chosen maps, without class tokens, and the embedding (B, D)."""
        final, maps = self.model.forward_intermediates(input, indices=self.indices, output_fmt="NCHW")
        return maps, self.model.forward_head(final, pre_logits=True)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The model's blocks, if it keeps them like most of timm's models."""
        stacks = (child for name, child in self.model.named_children() if re.fullmatch(STACKS, name))
        return tuple(block for stack in stacks for block in blocks(stack))

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """The parameters that timm does not decay."""
        names = self.model.no_weight_decay() if hasattr(self.model, "no_weight_decay") else ()
        parameters = self.model.named_parameters()
        return tuple(f"model.{name}" for name, item in parameters if name in names and item.ndim > 1)


def create_model(options: TimmOptions, info: InputInfo) -> Any:
    """Let timm build the model, for inputs of this size if it is built for a fixed one.

    Raises:
        ConfigError: timm cannot build it with these options.
        CheckpointError: the weights cannot be downloaded.
    """
    try:
        sized = get_pretrained_cfg_value(options.model, "fixed_input_size")
        model = timm.create_model(
            options.model,
            pretrained=options.pretrained,
            in_chans=info.channels,
            num_classes=0,
            img_size=info.size if sized else None,
            drop_rate=options.drop_rate,
            drop_path_rate=options.drop_path_rate,
            **options.model_args,
        )
    except Exception as error:
        what = f"{options.model} for inputs of {info.channels} channels and size {list(info.size)}"
        if options.pretrained:
            raise CheckpointError(
                f"timm cannot build {what} with its published weights: {error}",
                hint="without a network, name a downloaded file: weights: {source: timm, path: FILE}",
            ) from error
        raise ConfigError(
            f"timm cannot build {what}: {error}", hint="correct the options of the backbone, above all model_args"
        ) from error
    return model


def check_patches(network: nn.Module, size: tuple[int, ...], title: str) -> None:
    """Refuse sizes that are not a multiple of the patches: timm would silently drop the rest.

    Args:
        network: the model.
        size: height and width of its inputs.
        title: its name in the message.

    Raises:
        ConfigError: naming the sizes of inputs and patches.
    """
    patches = dict(network.named_modules()).get(first_convolutions(network)[0])
    if not isinstance(patches, nn.Conv2d) or patches.kernel_size != patches.stride:
        return
    if any(length % edge for length, edge in zip(size, patches.stride, strict=True)):
        raise ConfigError(
            f"{title} cannot take inputs of size {list(size)}: it cuts them into patches of {list(patches.stride)}",
            hint="set the data set's size to a multiple of that",
        )


def first_convolutions(network: nn.Module) -> tuple[str, ...]:
    """Names of the layers that see the input, by timm's record; at least one, which is empty if unknown."""
    named = get_model_traits(network).get("first_conv") or ""
    return (named,) if isinstance(named, str) else tuple(named)


def blocks(part: nn.Module) -> Iterator[nn.Module]:
    """The blocks of a stack, in order: lists and stages are unpacked, a module without blocks inside is one."""
    inner = part if isinstance(part, nn.Sequential | nn.ModuleList) else getattr(part, "blocks", None)
    if isinstance(inner, nn.Sequential | nn.ModuleList):
        for child in inner:
            yield from blocks(child)
    elif any(True for _ in part.parameters()):
        yield part
