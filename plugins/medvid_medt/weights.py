"""Published MedT checkpoints under our names."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional

from medvid.models.build import Model
from medvid.models.weights import Translation
from medvid_medt.model import MedT

Rule = tuple[str, str | Callable[[re.Match[str]], str]]

CLASSIFIER = "head.classifier."
"""A head of nothing but this is the published one: the 1x1 convolution of the finest map, as in the head `pixel`."""

RENAMES: tuple[Rule, ...] = (
    (r"^decoderf\.", "backbone.fuse."),
    (r"^adjust\.", CLASSIFIER),
    (r"^(\w+?)_p\.", r"backbone.local_branch.network.\1."),
    (r"^(?=conv|bn|layer|decoder)", "backbone.global_branch."),
    (
        r"(branch(?:\.network)?)\.(conv|bn)(\d)\.",
        lambda match: f"{match[1]}.stem.{3 * int(match[3]) - 3 + (match[2] == 'bn')}.",
    ),
    (r"\.decoder1\.", ".bottleneck."),
    (r"\.decoder(\d)\.", lambda match: f".decoders.{5 - int(match[1])}."),
    (r"\.layer(\d)\.", lambda match: f".stages.{int(match[1]) - 1}."),
    (r"\.bn1\.", ".norm_down."),
    (r"\.bn2\.", ".norm_up."),
    (r"\.downsample\.", ".shortcut."),
    (r"\.hight_block\.", ".height_attention."),
    (r"\.width_block\.", ".width_attention."),
    (r"\.qkv_transform\.", ".qkv."),
    (r"\.bn_(qkv|similarity|output)\.", r".norm_\1."),
)
"""Applied one after the other; a key that none of them knows stays as it is, and is reported."""

NEVER_USED = {
    r"\.flatten_index$": "it only says which entries of `relative` belong to which pair of pixels",
    r"\.bn_similarity\.(bias|running_mean)$": "it shifts all similarities of a pixel alike, which softmax ignores",
    r"\.bn_similarity\.num_batches_tracked$": "it is only counted",
    r"^layer\d_p\.\d+\.conv1\.": "the published network never runs this convolution",
    r"^adjust_p\.": "the published network never runs this convolution",
}
"""Why tensors of a published state are not taken over, by patterns of their names."""


def translate(published: Mapping[str, Tensor], _source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`.

    Relative positions of lines of another length are interpolated, so that the largest distance stays the largest.
    """
    assert isinstance(model.backbone, MedT)
    state, result = model.state_dict(), Translation()
    for key, tensor in published.items():
        name = rename(key)
        reason = next((reason for pattern, reason in NEVER_USED.items() if re.search(pattern, key)), None)
        reason = reason or _why_not_this_head(name, tensor, state)
        if reason:
            result.dropped[key] = reason
            continue
        if name.endswith(".relative") and name in state and tensor.shape[1] != state[name].shape[1]:
            result.resized[name] = tuple(tensor.shape)
            result.tensors[name] = resize_positions(tensor, state[name].shape[1])
        else:
            result.tensors[name] = tensor
    result.fresh = dict.fromkeys(
        (name for name in state if name.startswith("head.") and name not in result.tensors),
        "the file has no weights for this head",
    )
    return result


def rename(key: str) -> str:
    """Our name of a published key."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return key


def resize_positions(relative: Tensor, distances: int) -> Tensor:
    """Interpolate the positions (D, 2 L - 1) of all distances in lines of L pixels linearly to another number."""
    return functional.interpolate(relative[None], distances, mode="linear", align_corners=True)[0]


def _why_not_this_head(name: str, tensor: Tensor, state: Mapping[str, Tensor]) -> str | None:
    """Why a tensor of the published last convolution does not go into the model's head, if so."""
    if not name.startswith("head."):
        return None
    if {key for key in state if key.startswith("head.")} != {CLASSIFIER + "weight", CLASSIFIER + "bias"}:
        return "the model has another head"
    labels = len(state[name])
    return None if len(tensor) == labels else f"the file tells {len(tensor)} labels apart, the model {labels}"
