"""Import of published ViViT weights, and of image models to start from."""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import Translation, place_head, resize_positions, unknown_grid
from medvid_vivit.config import ViViTWeights
from medvid_vivit.model import Encoder, ViViT
from medvid_vivit.published import KERNEL, read


def translate(published: Mapping[str, Tensor], source: str, model: Model) -> Translation:
    """Bring published weights under our names, see `medvid.models.weights`.

    Args:
        published: what the file holds.
        source: ``huggingface``, ``scenic`` or ``vit``, see `medvid_vivit.config.ViViTWeights`.
        model: where they go.

    Raises:
        CheckpointError: the file is of another number of blocks, heads or voxels per tubelet than the model, its
            position table cannot be laid out, or it is not clear where in it the parameters are.
    """
    backbone, is_image = model.backbone, source == "vit"
    assert isinstance(backbone, ViViT)
    result, heads = read(published, source)
    _check_blocks(result, heads, backbone, is_image=is_image)
    _check_tubelets(result, backbone, is_image=is_image)
    if is_image:
        _inflate(result, backbone)
        result.fresh |= _without_counterpart(model)
    else:
        place_head(result, model)
    _fit_encoders(result, backbone, is_image=is_image)
    if KERNEL in result.tensors:
        result.tensors[KERNEL] = result.tensors[KERNEL].flatten(1)  # a tubelet's voxels, channels fastest
    return result


def fit(result: Translation, model: Model) -> None:
    """Interpolate the positions of another number of tubelets; raises as `translate`."""
    assert isinstance(model.backbone, ViViT)
    _fit_encoders(result, model.backbone, is_image=False)


def _fit_encoders(result: Translation, backbone: ViViT, *, is_image: bool) -> None:
    for prefix, encoder in (("", backbone.encoder), ("temporal_", backbone.temporal_encoder)):
        name = f"backbone.{prefix}encoder"
        if encoder is not None and f"{name}.positions" in result.tensors:
            _fit_tokens(result, name, encoder, _grid_of_file(backbone, prefix), is_image=is_image)


def _check_blocks(result: Translation, heads: Mapping[str, int], backbone: ViViT, *, is_image: bool) -> None:
    """Raise CheckpointError where numbers of blocks or of attention heads differ."""
    for prefix, encoder in (("", backbone.encoder), ("temporal_", backbone.temporal_encoder)):
        if is_image and prefix:
            continue
        kind = prefix.replace("_", " ")
        blocks = f"backbone.{prefix}encoder.blocks."
        depth = len({name.split(".")[3] for name in result.tensors if name.startswith(blocks)})
        expected = len(encoder.blocks) if encoder else 0
        if depth != expected:
            _refuse(f"{prefix}num_layers", f"{depth} {kind}layers", expected)
        expected = backbone.options.temporal_sizes[1] if prefix else backbone.options.num_heads
        found = heads.get(f"{prefix}encoder", expected)
        if found != expected:
            _refuse(f"{prefix}num_heads", f"{found} {kind}attention heads", expected)


def _check_tubelets(result: Translation, backbone: ViViT, *, is_image: bool) -> None:
    """Raise CheckpointError where tubelets differ; flattened, different ones could have the same number of voxels."""
    if KERNEL not in result.tensors:
        return
    time, height, width, channels = result.tensors[KERNEL].shape[1:]
    expected = backbone.tubelet_embedding.tubelet_size
    if (height, width) != expected[1:] or (time != expected[0] and not is_image):
        _refuse(
            "tubelet_size",
            f"patches of {[height, width]}" if is_image else f"tubelets of {[time, height, width]}",
            list(expected),
        )
    if channels != backbone.tubelet_embedding.channels:
        raise CheckpointError(
            f"the file is for inputs of {channels} channels, the model gets {backbone.tubelet_embedding.channels}",
            hint="use the weights with a data set of as many channels, or train without them",
        )


def _refuse(option: str, what: str, expected: object) -> None:
    raise CheckpointError(
        f"the file has {what}, the model {expected} (backbone.{option})",
        hint=f"set backbone.{option}, and backbone.model, to what the published weights were trained with",
    )


def _inflate(result: Translation, backbone: ViViT) -> None:
    """Make an image model's weights those of a video model that sees the central frame of each tubelet (section 3.4).

    In model 3 temporal attention starts from the spatial one, as ``weights.temporal_attention`` says.
    """
    tensors = result.tensors
    for name in [name for name in tensors if name.startswith(("head.", "backbone.pre_logits."))]:
        result.drop(name, "it is of the image model's classes")
    if KERNEL in tensors:
        kernel, frames = tensors[KERNEL], backbone.tubelet_embedding.tubelet_size[0]
        zeros = torch.zeros_like(kernel)
        tensors[KERNEL] = torch.cat([kernel if index == frames // 2 else zeros for index in range(frames)], dim=1)
    if backbone.options.model == "factorised_self_attention":
        weights = backbone.options.weights
        starts_at_zero = weights is not None and weights.temporal_attention == "zero"
        for name, tensor in [item for item in tensors.items() if ".attn." in item[0]]:
            is_zero = starts_at_zero and ".attn.proj." in name
            tensors[name.replace(".attn.", ".attn_time.")] = torch.zeros_like(tensor) if is_zero else tensor


def _without_counterpart(model: Model) -> dict[str, str]:
    """Why parameters that an image model lacks start afresh."""
    video_only = r"^backbone\.(temporal_encoder|pre_logits)\.|\.norm_time\."
    names = model.state_dict()
    fresh = {name: "an image model has no counterpart" for name in names if re.search(video_only, name)}
    return fresh | {name: "the image model's classes are others" for name in names if name.startswith("head.")}


def _grid_of_file(backbone: ViViT, prefix: str) -> tuple[int, ...] | None:
    """The part of ``weights.grid`` that is about an encoder, if it was given."""
    weights = backbone.options.weights
    if not isinstance(weights, ViViTWeights) or weights.grid is None:
        return None
    if not backbone.by_frame:
        return weights.grid
    return weights.grid[:1] if prefix else weights.grid[1:]


def _fit_tokens(
    result: Translation, name: str, encoder: Encoder, given: tuple[int, ...] | None, *, is_image: bool
) -> None:
    """Bring class token and positions to those of an encoder."""
    positions, class_token = f"{name}.positions", f"{name}.class_token"
    table, extra = result.tensors[positions], int(class_token in result.tensors)
    count = table.shape[1] - extra
    grid = given or guess_grid(count, encoder.grid, is_image=is_image)
    if math.prod(grid) != count:
        raise CheckpointError(
            f"the file has positions of {count} tubelets, but backbone.weights.grid {list(grid)} has {math.prod(grid)}"
        )
    if grid != encoder.grid:
        result.resize(positions, _resized(table, grid, encoder.grid))
    if extra and not encoder.extra:
        result.drop(class_token, f"the model pools its tokens instead (classifier: {encoder.pool})")
        result.tensors[positions] = result.tensors[positions][:, 1:]


def _resized(table: Tensor, old: tuple[int, ...], new: tuple[int, ...]) -> Tensor:
    """Linear along each axis, corners on corners, so that an image's positions become those of every time index."""
    old, new = ((*[1] * (3 - len(grid)), *grid) for grid in (old, new))
    return resize_positions(table, old, new, "linear", align_corners=True)


def guess_grid(count: int, grid: tuple[int, ...], *, is_image: bool) -> tuple[int, ...]:
    """On which grid a file's positions are, if not on the model's.

    Args:
        count: how many there are, without a class token's.
        grid: the model's: (time, height, width), or in model 2 (height, width) or (time,).
        is_image: there is only one time index in the file.

    Raises:
        CheckpointError: as many positions may be a square of other edges at the model's time indices, or other time
            indices of the model's height and width; both are possible, or neither is.
    """
    if len(grid) == 1:
        return (count,)
    *time, height, width = grid
    frames = [1] * len(time) if is_image else time
    if count == math.prod([*frames, height, width]):
        return (*frames, height, width)
    edge = math.isqrt(count // math.prod(frames))
    found = [(*frames, edge, edge)] if math.prod(frames) * edge**2 == count else []
    if time and not is_image and count % (height * width) == 0:
        found.append((count // (height * width), height, width))
    if len(found) != 1:
        hint = "set backbone.weights.grid, e.g. to [16, 14, 14] for 32 x 224 x 224 voxels in tubelets of 2 x 16 x 16"
        raise unknown_grid(count, grid, hint)
    return found[0]
