"""nnU-Net's checkpoints, and states of its networks, under our names."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, nnunet, place_head
from medvid_unet.decoder import UNetDecoder
from medvid_unet.model import UNet

RENAMES: tuple[Rule, ...] = (
    (r"^encoder\.stem\.convs\.0\.", "backbone.stem."),
    (r"^encoder\.stages\.(\d+)\.0\.convs\.(\d+)\.", r"backbone.stages.\1.\2."),
    (r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\.", r"backbone.stages.\1.\2."),
    (r"\.skip\.[01]\.", ".skip."),
    (r"^decoder\.transpconvs\.(\d+)\.", r"head.levels.\1.upsample."),
    (r"^decoder\.stages\.(\d+)\.convs\.(\d+)\.", r"head.levels.\1.convs.\2."),
    (r"^decoder\.seg_layers\.(\d+)\.", r"head.classifiers.\1."),
)
"""From the published names to ours, but that their levels are counted from the coarsest."""

REPEATED = {
    r"^decoder\.encoder\.": "it repeats a tensor of the encoder",
    r"\.all_modules\.\d+\.": "it repeats a tensor of the same block",
}


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``nnunet`` (with its plans.json, which says how its axes were ordered) or ``state_dict``.
        model: where it goes.

    Raises:
        CheckpointError: there is no plan, or it is for slices across another axis.
    """
    backbone, head = model.backbone, model.head
    assert isinstance(backbone, UNet)
    result = Translation.renamed(published, _counted_from_finest(published), REPEATED)
    supervised = isinstance(head, UNetDecoder) and len(head.classifiers)
    for name in [name for name in result.tensors if name.startswith("head.classifiers.")]:
        if supervised == 1 and not name.startswith("head.classifiers.0."):
            result.drop(name, "it predicts at a coarser scale, and head.deep_supervision is off")
    place_head(result, model, classifier="head.classifiers", fits=isinstance(head, UNetDecoder))
    rank = len(backbone.total_stride)
    order = tuple(range(rank))
    if source == "nnunet":
        assert backbone.weights
        order = nnunet.order_of_axes(nnunet.read_plans(backbone.weights), rank)
    ours = model.state_dict()
    for name, tensor in result.tensors.items():
        if tensor.ndim == 2 + rank:
            matrix = name in ours and ours[name].ndim == 2  # which a convolution of kernel size 1 is here
            ordered = tensor.permute(0, 1, *(2 + axis for axis in order)).contiguous()
            result.tensors[name] = ordered.flatten(1) if matrix else ordered
    return result


def _counted_from_finest(published: Mapping[str, Tensor]) -> tuple[Rule, ...]:
    """The renaming, with levels counted as ours are, from the finest."""
    numbers = [int(name.split(".")[2]) for name in published if name.startswith("decoder.seg_layers.")]
    pattern = r"^(head\.(?:levels|classifiers))\.(\d+)\."
    return (*RENAMES, (pattern, lambda match: f"{match[1]}.{max(numbers, default=0) - int(match[2])}."))
