"""nnU-Net's plan as a task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medvid.planning.draft import Draft
from medvid.planning.nnunet.estimate import feature_map_elements
from medvid.planning.nnunet.presets import PRESETS
from medvid.planning.nnunet.topology import topology_of
from medvid.planning.recipe import put_nnunet_recipe
from medvid.planning.request import Request
from medvid.planning.volumes.words import by

_FREE = 0.67
"""Share of a batch whose patches may lie anywhere, rounded to a number of patches."""


def put_plan(
    draft: Draft, plans: Mapping[str, Any], name: str, measured: Sequence[float], request: Request, scheme: Any
) -> None:
    """Write the configuration `name` of the plans into a task whose backbone is the U-Net of nnU-Net.

    Args:
        draft: the task.
        plans: nnU-Net's.
        name: of the configuration.
        measured: mm of the median case, R, A, S.
        request: what was asked.
        scheme: the labels.
    """
    block, forward = plans["configurations"][name], plans["transpose_forward"]
    put_preparation(draft, plans, name, measured)
    _put_patch(draft, plans, block, request, scheme)
    put_network(draft, block, lambda values: to_ras(values, forward, 1), request)
    put_loss(draft, block["batch_dice"], regions=bool(scheme.regions), ignores=scheme.ignore is not None)
    put_nnunet_recipe(draft, request.steps)


def to_ras(values: Sequence[Any], forward: Sequence[int], slice_axis: Any) -> list[Any]:
    """Values per axis of a configuration along R, A, S.

    Args:
        values: of three axes, or of two without the one that comes first.
        forward: the axes z, y, x in the order of the plan.
        slice_axis: the value of the axis that is left out.
    """
    ordered = [slice_axis, *values] if len(values) == 2 else values
    return [ordered[list(forward).index(2 - axis)] for axis in range(3)]


def put_preparation(draft: Draft, plans: Mapping[str, Any], name: str, measured: Sequence[float]) -> None:
    """Write how cases are prepared: spacing, intensities, crop, resampling.

    Args:
        draft: the task.
        plans: nnU-Net's.
        name: of the configuration.
        measured: mm of the median case, R, A, S.
    """
    block, forward = plans["configurations"][name], plans["transpose_forward"]
    median = [measured[2 - axis] for axis in forward]
    spacing = to_ras(block["spacing"], forward, median[0])
    why = f"mm; the median case has {by(measured)}"
    if name == "3d_lowres":
        why += ", enlarged by 3 % at a time until a patch holds a quarter of the median case"
    elif block["spacing"][0] != median[0] and len(block["spacing"]) == 3:
        why += "; the slice axis is over 3 times coarser and shorter than the others: 10th percentile of the cases"
    elif len(block["spacing"]) == 2:
        why += "; slice by slice, whose distance is the median (nnU-Net leaves it as it is)"
    draft.put("dataset.spacing", spacing, why)
    properties = plans["foreground_intensity_properties_per_channel"]
    channels = [
        channel_block(scheme, masked, properties[str(number)])
        for number, (scheme, masked) in enumerate(
            zip(block["normalization_schemes"], block["use_mask_for_norm"], strict=True)
        )
    ]
    draft.put("dataset.normalize", channels)
    draft.put("dataset.crop", "nonzero", "to the box of what is not 0 in any channel")
    kinds = {"image": "data", "label": "seg", "scores": "probabilities"}
    orders = {
        ours: {key: block[f"resampling_fn_{theirs}_kwargs"][key] for key in ("order", "order_z")}
        for ours, theirs in kinds.items()
    }
    draft.put("dataset.resampling", orders | {"separate_z": "auto"}, "splines; slices over 3 times apart on their own")


def channel_block(scheme: str, masked: bool, properties: Mapping[str, float]) -> dict[str, Any]:
    """How a channel is normalised, as `dataset.normalize` has it."""
    if scheme == "CTNormalization":
        low, high = properties["percentile_00_5"], properties["percentile_99_5"]
        return {"name": "ct", "low": low, "high": high, "mean": properties["mean"], "std": properties["std"]}
    names = {"NoNormalization": "none", "RescaleTo01Normalization": "rescale", "RGBTo01Normalization": "rgb"}
    return {"name": names[scheme]} if scheme in names else {"name": "zscore", "masked": masked}


def _put_patch(draft: Draft, plans: Mapping[str, Any], block: Mapping[str, Any], request: Request, scheme: Any) -> None:
    forward, batch = plans["transpose_forward"], block["batch_size"]
    arguments, preset = block["architecture"]["arch_kwargs"], PRESETS[request.preset]
    topology = topology_of(arguments["strides"], arguments["kernel_sizes"], block["patch_size"])
    classes = scheme.known + (scheme.ignore is not None)
    elements = feature_map_elements(topology, classes, preset.residual)
    reference = preset.elements(len(block["patch_size"]), request.memory)
    size, median = to_ras(block["patch_size"], forward, 1), to_ras(block["median_image_size_in_voxels"], forward, 1)
    draft.put(
        "dataset.patch.size",
        size,
        f"voxels; feature maps of {elements / 1e6:.0f} M elements, of {reference / 1e6:.0f} M for {request.memory:g} GB"
        f"; the median case has {by(median)}",
    )
    draft.put("dataset.patch.per_case", 1, "each patch of a batch is of a case of its own")
    draft.put("dataset.patch.centres", "classes")
    forced = batch - round(batch * _FREE)
    draft.put("dataset.patch.forced", round(forced / batch, 6), f"{forced} of {batch} lie on a class or region")
    draft.put("dataset.augment", augmentation(block["use_mask_for_norm"]))
    cap = f", at most {preset.coverage:.0%} of all voxels" if preset.coverage < 1 else ""
    draft.put("train.batch_size", batch, f"patches; as many as the memory holds{cap}, at least 2")


def augmentation(masked: Sequence[bool] = (), flips: Sequence[str] = ("flip",)) -> list[dict[str, Any]]:
    """nnU-Net's list in its order; with the published values, which are the transforms' own.

    Args:
        masked: of each channel, whether it stays 0 outside of the mask.
        flips: names of the transforms that mirror.
    """
    names = ("spatial", "gaussian_noise", "gaussian_blur", "brightness", "contrast", "low_resolution")
    listed: list[dict[str, Any]] = [{"name": name} for name in names]
    listed += [{"name": "gamma", "inverted": True, "probability": 0.1}, {"name": "gamma"}]
    listed += [{"name": name, "probability": 0.5} for name in flips]
    channels = [number for number, is_masked in enumerate(masked) if is_masked]
    return [*listed, {"name": "zero_outside", "channels": channels}] if channels else listed


def put_network(
    draft: Draft, block: Mapping[str, Any], order: Callable[[Sequence[int]], list[int]], request: Request
) -> None:
    """Write the U-Net of a configuration.

    Args:
        draft: the task.
        block: the configuration.
        order: of the axes of the task, from those of the plan.
        request: what was asked.
    """
    arguments, residual = block["architecture"]["arch_kwargs"], PRESETS[request.preset].residual
    kernels = [order(kernel) for kernel in arguments["kernel_sizes"]]
    draft.put("backbone.name", request.backbone)
    draft.put("backbone.encoder", "resenc" if residual else "plain")
    cap = 320 if len(block["patch_size"]) == 3 else 512
    draft.put("backbone.features", arguments["features_per_stage"], f"twice as many each stage, up to {cap}")
    draft.put(
        "backbone.strides",
        [order(stride) for stride in arguments["strides"]],
        "an axis is halved while its voxels are less than twice the finest ones and at least 8 are left",
    )
    draft.put("backbone.kernels", kernels, "1 along an axis until its voxels are less than twice the finest ones")
    draft.put("backbone.blocks", arguments["n_blocks_per_stage" if residual else "n_conv_per_stage"])
    draft.put("head.convs", 1 if residual else 2)
    draft.put("head.kernels", kernels[:-1])
    draft.put("head.deep_supervision", True)


def put_loss(draft: Draft, batch: bool, *, regions: bool, ignores: bool) -> None:
    """Write nnU-Net's loss, with one Dice for the whole batch or one per patch."""
    sums: dict[str, Any] = {"smooth_nr": 1e-5, "smooth_dr": 1e-5, "batch": batch}
    if ignores:
        sums["average"] = "voxels"
    why = "one Dice over the batch: a patch sees a small part of a case" if batch else "a Dice per patch"
    if regions:
        loss = {"name": "dice_bce"} | sums
    else:
        loss = {"name": "dice_ce", "include_background": False, "squared_pred": False} | sums
    draft.put("head.loss", loss, why)
