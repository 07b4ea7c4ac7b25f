"""Published MedT checkpoints under our names."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, place_head
from medvid_medt.model import MedT

RENAMES: tuple[Rule, ...] = (
    (r"^decoderf\.", "backbone.fuse."),
    (r"^adjust\.", "head.classifier."),  # a 1x1 convolution of the finest map, as the head `pixel` is
    (r"^(\w+?)_p\.", r"backbone.local_branch.network.\1."),
    (r"^(?=conv|bn|layer|decoder)", "backbone.global_branch."),
    (r"(branch(?:\.network)?)\.conv(\d)\.", lambda match: f"{match[1]}.stem.{3 * (int(match[2]) - 1)}."),
    (r"(branch(?:\.network)?)\.bn(\d)\.", lambda match: f"{match[1]}.stem.{3 * (int(match[2]) - 1) + 1}."),
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
"""From the names of the authors to ours."""

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
    result = Translation.renamed(published, RENAMES, NEVER_USED)
    fit(result, model)
    place_head(result, model)
    return result


def fit(result: Translation, model: Model) -> None:
    """Interpolate the relative positions of lines of another length."""
    state = model.state_dict()
    for name in [name for name in result.tensors if name.endswith(".relative") and name in state]:
        if result.tensors[name].shape[1] != state[name].shape[1]:
            result.resize(name, resize_distances(result.tensors[name], state[name].shape[1]))


def resize_distances(relative: Tensor, distances: int) -> Tensor:
    """Interpolate the positions (D, 2 L - 1) of all distances in lines of L pixels linearly to another number."""
    return functional.interpolate(relative[None], distances, mode="linear", align_corners=True)[0]
