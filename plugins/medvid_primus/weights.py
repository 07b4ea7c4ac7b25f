"""Published Primus states, and nnU-Net's checkpoints of it, under our names."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights import Rule, Translation, infer_grid, nnunet, place_head, resize_positions
from medvid_primus.decoder import PrimusDecoder
from medvid_primus.model import Primus

POSITIONS = "backbone.positions"
RENAMES: tuple[Rule, ...] = (
    (r"^down_projection\.stem\.blocks\.0\.", "backbone.stem.stem."),
    (r"^down_projection\.stages\.(\d+)\.blocks\.0\.", r"backbone.stem.stages.\1."),
    (r"\.skip\.[01]\.", ".skip."),
    (r"^down_projection\.(?:final_)?proj\.", "backbone.stem.proj."),
    (r"^down_projection\.proj_to_tokens\.", "backbone.stem.level_projs."),
    (r"^down_projection\.scale_proj_to_tokens\.", "backbone.stem.level_scales."),
    (r"^eva\.pos_embed$", POSITIONS),
    (r"^eva\.", "backbone."),
    (r"\.attn\.q_proj\.", ".attn.query."),
    (r"\.attn\.k_proj\.", ".attn.key."),
    (r"\.attn\.v_proj\.", ".attn.value."),
    (r"\.mlp\.fc1_g\.", ".mlp.gate."),
    (r"\.mlp\.fc1_x\.", ".mlp.fc1."),
    (r"\.gamma_([12])$", r".scale\1"),
    (r"^up_projection\.decode\.(\d+)\.([01])\.", r"head.steps.\1.\2."),
    (r"^up_projection\.decode\.\d+\.", "head.classifier."),
)
"""From the published names to ours."""

UNUSED = {
    r"^mask_token$": "it stands for masked tokens, which only pre-training has",
    r"\.all_modules\.\d+\.": "it repeats a tensor of the same block",
}


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring a published state under our names, see `medvid.models.weights`.

    Positions of another grid, cubic in the file, are interpolated linearly.

    Args:
        published: what the file holds.
        source: ``nnunet`` (with its plans.json, which says how its axes were ordered) or ``state_dict``.
        model: where it goes.

    Raises:
        CheckpointError: there is no plan, or positions are of a grid that is neither the model's nor cubic.
    """
    backbone = model.backbone
    assert isinstance(backbone, Primus)
    result = Translation.renamed(published, RENAMES, UNUSED)
    place_head(result, model, classifier="head.classifier", fits=isinstance(model.head, PrimusDecoder))
    order: Sequence[int] = (0, 1, 2)
    if source == "nnunet":
        assert backbone.weights
        order = nnunet.order_of_axes(nnunet.read_plans(backbone.weights), 3)
    _reorder_axes(result, order, backbone)
    ours = model.state_dict()
    for name, tensor in result.tensors.items():
        if name in ours and tensor.ndim == 5 and ours[name].ndim == 2:
            result.tensors[name] = tensor.flatten(1)  # a convolution of kernel size 1 is a matrix here
        if ".level_scales." in name:
            result.tensors[name] = tensor.reshape(())
    return result


def _reorder_axes(result: Translation, order: Sequence[int], backbone: Primus) -> None:
    """Bring kernels, positions, and the channels that are turned along each axis, into our order of axes."""
    heads = backbone.num_heads
    for name, tensor in [*result.tensors.items()]:
        if tensor.ndim == 5:
            result.tensors[name] = tensor.permute(0, 1, *(2 + axis for axis in order)).contiguous()
        elif name == POSITIONS:
            _fit_positions(result, order, backbone.grid)
        elif ".attn.query." in name or ".attn.key." in name:
            by_axis = tensor.reshape(heads, 3, -1, *tensor.shape[1:])[:, list(order)]
            result.tensors[name] = by_axis.reshape(tensor.shape)


def _fit_positions(result: Translation, order: Sequence[int], grid: Sequence[int]) -> None:
    """Reorder the table (1, N, D) and interpolate it to our grid."""
    table = result.tensors[POSITIONS]
    asked = [grid[order.index(axis)] for axis in range(3)]  # in the order of the file
    theirs = infer_grid(table.shape[1], asked, "set backbone.img_size to the size of that training")
    ordered = table.reshape(1, *theirs, -1).permute(0, *(1 + axis for axis in order), 4)
    old = ordered.shape[1:4]
    table = ordered.flatten(1, 3)
    result.tensors[POSITIONS] = table
    if old != tuple(grid):
        result.resize(POSITIONS, resize_positions(table, old, grid, "linear", align_corners=False))


def fit(result: Translation, model: Model) -> None:
    """Interpolate positions of another grid, in our order of axes; raises as `translate`."""
    assert isinstance(model.backbone, Primus)
    if POSITIONS in result.tensors:
        _fit_positions(result, (0, 1, 2), model.backbone.grid)
