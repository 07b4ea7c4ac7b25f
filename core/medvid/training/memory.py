"""Gradient checkpointing: activations of a backbone's layers are computed twice instead of kept."""

from functools import partial

from torch.utils.checkpoint import checkpoint

from medvid.errors import ConfigError
from medvid.models.backbone import Backbone


def checkpoint_layers(backbone: Backbone) -> None:
    """Let each of the backbone's layers keep only its input for the backward pass (Chen et al., 2016).

    Random numbers of the second computation are those of the first, so gradients do not change.

    Raises:
        ConfigError: the backbone does not name its layers.
    """
    if not backbone.layers:
        raise ConfigError(
            f"train.gradient_checkpointing is set, but {type(backbone).__name__} does not say what its layers are",
            hint="set it to false, or use a backbone that has `layers`",
        )
    for layer in backbone.layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
