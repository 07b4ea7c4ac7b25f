"""Import of published ViViT weights, and of image models to start from."""

import math
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from medvid.errors import CheckpointError
from medvid.models.build import Model
from medvid.models.weights import Translation, place_classifier
from medvid_vivit.model import Encoder, ViViT
from medvid_vivit.published import CLASSIFIER, KERNEL, Published, read


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
    backbone, result = model.backbone, Translation()
    assert isinstance(backbone, ViViT)
    file = read(published, source)
    _check_blocks(file, backbone, is_image=source == "vit")
    _check_tubelets(file, backbone, is_image=source == "vit")
    if source == "vit":
        _inflate(file, backbone)
        result.fresh = _without_counterpart(model)
    else:
        _place_classifier(file, model, result)
    for prefix, encoder in (("", backbone.encoder), ("temporal_", backbone.temporal_encoder)):
        if encoder is not None and f"{prefix}encoder.positions" in file.tensors:
            _fit_tokens(file, f"{prefix}encoder", encoder, _grid_of_file(backbone, prefix), source, result)
    if KERNEL in file.tensors:
        file.tensors[KERNEL] = file.tensors[KERNEL].flatten(1)  # a tubelet's voxels, channels fastest
    result.tensors |= {f"backbone.{name}": tensor for name, tensor in file.tensors.items()}
    result.dropped |= file.dropped
    return result


def resize_positions(table: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """Interpolate positions (1, prod(old), D) linearly along each axis to another grid, corners on corners.

    An axis of length 1 is repeated, so that positions of an image become those of every time index.
    """
    old, new = ([*[1] * (3 - len(grid)), *grid] for grid in (old, new))
    volume = table.transpose(1, 2).reshape(1, -1, *old)
    volume = functional.interpolate(volume, new, mode="trilinear", align_corners=True)
    return volume.flatten(2).transpose(1, 2)


def _check_blocks(file: Published, backbone: ViViT, *, is_image: bool) -> None:
    """Raise CheckpointError where numbers of blocks or of attention heads differ."""
    for prefix, encoder in (("", backbone.encoder), ("temporal_", backbone.temporal_encoder)):
        if is_image and prefix:
            continue
        kind = prefix.replace("_", " ")
        depth = len({name.split(".")[2] for name in file.tensors if name.startswith(f"{prefix}encoder.blocks.")})
        expected = len(encoder.blocks) if encoder else 0
        if depth != expected:
            _refuse(f"{prefix}num_layers", f"{depth} {kind}layers", expected)
        heads = file.heads.get(f"{prefix}encoder")
        expected = backbone.options.temporal_sizes[1] if prefix else backbone.options.num_heads
        if heads and heads != expected:
            _refuse(f"{prefix}num_heads", f"{heads} {kind}attention heads", expected)


def _check_tubelets(file: Published, backbone: ViViT, *, is_image: bool) -> None:
    """Raise CheckpointError where tubelets differ; flattened, different ones could have the same number of voxels."""
    if KERNEL not in file.tensors:
        return
    *tubelet, channels = file.tensors[KERNEL].shape[1:]
    expected = list(backbone.tubelet_embedding.tubelet_size)
    if tubelet[is_image:] != expected[is_image:]:
        _refuse("tubelet_size", f"patches of {tubelet[1:]}" if is_image else f"tubelets of {tubelet}", expected)
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


def _inflate(file: Published, backbone: ViViT) -> None:
    """Make an image model's weights those of a video model that sees the central frame of each tubelet (section 3.4).

    In model 3 temporal attention starts from the spatial one, as ``weights.temporal_attention`` says.
    """
    for name in [name for name in file.tensors if name.startswith(("classifier.", "pre_logits."))]:
        file.drop(name, "it is of the image model's classes")
    if KERNEL in file.tensors:
        kernel, frames = file.tensors[KERNEL], backbone.tubelet_embedding.tubelet_size[0]
        zeros = torch.zeros_like(kernel)
        file.tensors[KERNEL] = torch.cat([kernel if index == frames // 2 else zeros for index in range(frames)], dim=1)
    if backbone.options.model == "factorised_self_attention":
        weights = backbone.options.weights
        zeroed = ".attn.proj." if weights and weights.temporal_attention == "zero" else None
        for name, tensor in [item for item in file.tensors.items() if ".attn." in item[0]]:
            copy = torch.zeros_like(tensor) if zeroed and zeroed in name else tensor
            file.tensors[name.replace(".attn.", ".attn_time.")] = copy


def _without_counterpart(model: Model) -> dict[str, str]:
    """Why parameters start anew that an image model has nothing for."""
    video_only = r"^backbone\.(temporal_encoder|pre_logits)\.|\.norm_time\."
    names = model.state_dict()
    fresh = {name: "an image model has no counterpart" for name in names if re.search(video_only, name)}
    return fresh | {name: "the image model's classes are others" for name in names if name.startswith("head.")}


def _place_classifier(file: Published, model: Model, result: Translation) -> None:
    for name in [name for name in file.tensors if name.startswith("pooler.")]:
        file.drop(name, "the published classifier does not use the pooler")
    weight, bias = (file.keys.get(name, name) for name in CLASSIFIER)
    classifier = {file.keys[name]: file.tensors.pop(name) for name in CLASSIFIER if name in file.tensors}
    place_classifier(result, classifier, weight, bias, model)


def _grid_of_file(backbone: ViViT, prefix: str) -> tuple[int, ...] | None:
    """The part of ``weights.grid`` that is about an encoder, if it was given."""
    weights = backbone.options.weights
    if weights is None or weights.grid is None:
        return None
    if not backbone.by_frame:
        return weights.grid
    return weights.grid[:1] if prefix else weights.grid[1:]


def _fit_tokens(
    file: Published, name: str, encoder: Encoder, given: tuple[int, ...] | None, source: str, result: Translation
) -> None:
    """Bring class token and positions to those of an encoder."""
    table = file.tensors[f"{name}.positions"]
    extra = int(f"{name}.class_token" in file.tensors)
    token, places = table[:, :extra], table[:, extra:]
    if extra and not encoder.extra:
        file.drop(f"{name}.class_token", f"the model pools its tokens instead (classifier: {encoder.pool})")
        token = token[:, :0]
    grid = given or guess_grid(places.shape[1], encoder.grid, is_image=source == "vit")
    if math.prod(grid) != places.shape[1]:
        raise CheckpointError(
            f"the file has positions of {places.shape[1]} tubelets, but backbone.weights.grid {list(grid)} has "
            f"{math.prod(grid)}"
        )
    if grid != encoder.grid:
        result.resized[f"backbone.{name}.positions"] = tuple(table.shape)
        places = resize_positions(places, grid, encoder.grid)
    file.tensors[f"{name}.positions"] = torch.cat([token, places], dim=1)


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
        raise CheckpointError(
            f"the file has positions of {count} tubelets, the model of {' x '.join(map(str, grid))}; which grid the "
            "former are on cannot be told from their number",
            hint="set backbone.weights.grid, e.g. to [16, 14, 14] for 32 x 224 x 224 voxels in tubelets of 2 x 16 x 16",
        )
    return found[0]
