"""Files of timm under our names, adapted to other image sizes and channels by timm's own rules."""

import sys
from collections.abc import Mapping
from inspect import signature
from typing import Any

from timm.models import adapt_input_conv
from torch import Tensor, nn

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import Translation, place_head
from medvid_timm.model import TimmBackbone, first_convolutions

State = dict[str, Tensor]


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:  # noqa: ARG001 (contract)
    """Bring the state of a model of timm under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``timm``.
        model: where it goes; its backbone is of the same architecture.

    Raises:
        CheckpointError: timm's rules cannot make the file fit.
    """
    assert isinstance(model.backbone, TimmBackbone)
    network = model.backbone.model
    state = adapt_channels(filtered(published, network), network, model.backbone.input_info.channels)
    root, *_ = _classifiers(network) or ("",)
    classifier = {f"{root}.{kind}": f"head.classifier.{kind}" for kind in ("weight", "bias")}
    reason = "timm leaves it out, or calls it otherwise by now"
    result = Translation(dropped={key: reason for key in published if key not in state})
    for key, tensor in state.items():
        name = classifier.get(key, f"head.{key}") if _classifies(key, network) else f"backbone.model.{key}"
        result.tensors[name], result.keys[name] = tensor, key
        if name.startswith("backbone.") and key in published and published[key].shape != tensor.shape:
            result.resized[name] = tuple(published[key].shape)
    place_head(result, model, otherwise="the model's head and timm's classifier are not both a single linear layer")
    return result


def filtered(published: Mapping[str, Tensor], network: nn.Module) -> State:
    """The file as timm itself would load it: old names replaced, position embeddings of another size interpolated.

    Raises:
        CheckpointError: timm's rules fail on the file.
    """
    state = dict(published)
    rules = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    try:
        if rules:
            state = dict(rules(state, network) if len(signature(rules).parameters) > 1 else rules(state))
    except Exception as error:
        raise CheckpointError(
            f"timm's own rules for files of a {type(network).__name__} fail on this one: {error}",
            hint="name the very model in backbone.model that the file is of",
        ) from error
    return state


def adapt_channels(state: State, network: nn.Module, channels: int) -> State:
    """Bring the first convolutions to the number of input channels, as timm does: summed for one, else repeated."""
    ours = network.state_dict()
    for layer in first_convolutions(network):
        name = f"{layer}.weight"
        if name in ours and name in state and ours[name].shape[1] == channels != state[name].shape[1]:
            state = state | {name: adapt_input_conv(channels, state[name], base_chans=state[name].shape[1])}
    return state


def _classifies(name: str, network: Any) -> bool:
    """Whether a tensor belongs to timm's classifier, which the network here has not, and to no norm before it."""
    roots = {layer.partition(".")[0] for layer in _classifiers(network)}
    return name.partition(".")[0] in roots and name not in network.state_dict()


def _classifiers(network: Any) -> tuple[str, ...]:
    """Names of timm's layers that classify: several where a model was distilled, or has branches."""
    named = network.pretrained_cfg.get("classifier") or ()
    return (named,) if isinstance(named, str) else tuple(named)
