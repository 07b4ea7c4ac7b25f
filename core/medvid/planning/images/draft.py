"""A task for segmented images: nnU-Net's plan of two axes, or the crop and batch of another backbone."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.images.dataset import ImageDataset
from medvid.data.images.index import find_pairs
from medvid.planning.backbones import resized
from medvid.planning.draft import Draft
from medvid.planning.fitting import fit, memory_in_words
from medvid.planning.images.facts import ImageFacts, look_at_images, mask_options, mask_values, median_size
from medvid.planning.nnunet.patch import first_patch
from medvid.planning.nnunet.plans import plan
from medvid.planning.recipe import put_nnunet_recipe, put_recipe, suit_augmentation
from medvid.planning.request import Request
from medvid.planning.sides import keep_sides
from medvid.planning.sizing import Size
from medvid.planning.splits import check_enough, put_split
from medvid.planning.volumes import nnunet_task
from medvid.planning.volumes.draft import check_pooled
from medvid.planning.volumes.words import by
from medvid.plugin.host import Host

_MOST = 64


def draft_images(
    dataset: ImageDataset,
    draft: Draft,
    request: Request,
    head: str,
    host: Host,
    overrides: Sequence[str],
    progress: Progress,
) -> None:
    """Look at images and masks, and write the task.

    Args:
        dataset: the data.
        draft: the task.
        request: what was asked.
        head: the decoder, if nnU-Net plans the backbone; else empty.
        host: has the components.
        overrides: what the user sets on top.
        progress: called with (done, total).

    Raises:
        DataError: the files cannot be used, or are too few.
    """
    options = dataset.options
    index = find_pairs(options.root, options.images, options.masks, options.mask_suffix)
    cases = [files for files in index.cases.values() if files.masks]
    check_enough(options.root, len(cases), "annotated image")
    facts = look_at_images(cases, options.cache, progress)
    labels = _put_data(draft, facts)
    trained = [files.id for files in cases if files.id not in index.splits.get("test", ())]
    put_split(draft, dataset, trained, request)
    draft.put("dataset.augment", nnunet_task.augmentation(flips=("horizontal_flip", "vertical_flip")))
    keep_sides(draft, draft.values["dataset"].get("labels", ()), request)
    if head:
        _put_unet(draft, facts, labels, request, head)
    else:
        _put_other(draft, facts, request, host, overrides)
    suit_augmentation(draft, request.steps, len(cases))


def _put_data(draft: Draft, facts: Sequence[ImageFacts]) -> int:
    """How files are read; returns the number of labels."""
    coloured = sum(each.coloured for each in facts)
    draft.head.append(_sizes_in_words(facts))
    if not {"mask_values", "labels", "mask_colours"} & draft.values["dataset"].keys():
        found, why = mask_options(facts)
        draft.head.append(f"Masks: {why}")
        for key, value in found.items():
            draft.put(f"dataset.{key}", value)
    if "channels" not in draft.values["dataset"]:
        draft.put("dataset.channels", 3 if coloured else 1, f"{coloured} of {len(facts)} have colours")
    draft.head += _labels_in_words(facts, draft.values["dataset"])
    draft.put("dataset.size", None, "images keep their size")
    return len(draft.values["dataset"].get("labels", ("background", "foreground")))


def _sizes_in_words(facts: Sequence[ImageFacts]) -> str:
    sizes = np.array([each.size for each in facts])
    low, high, bits = sizes.min(0), sizes.max(0), max(each.bits for each in facts)
    shown = by(low) if (low == high).all() else f"{by(low)} to {by(high)}"
    darkest, brightest = min(each.lowest for each in facts), max(each.highest for each in facts)
    return (
        f"{len(facts)} images of {shown} pixels (median {by(median_size(facts))}), {bits} bits per channel, values "
        f"{darkest:g} to {brightest:g} (mean {np.mean([each.mean for each in facts]):.3g})"
    )


def _labels_in_words(facts: Sequence[ImageFacts], options: Mapping[str, Any]) -> Iterator[str]:
    """A line on each label, or on the foreground of masks in black and white."""
    total = mask_values(facts)
    if options.get("mask_values") == "indexed" and "labels" in options:
        labels = {name: {number} for number, name in enumerate(options["labels"]) if number}
    else:
        labels = {"foreground": {value for value in total if value}}
    for name, values in labels.items() if total else ():
        images = sum(any(value in values for value in each.values or ()) for each in facts)
        pixels = sum(total[value] for value in values)
        yield f"label {name}: in {images} images, {pixels / total.total():.2%} of all pixels"


def _put_unet(draft: Draft, facts: Sequence[ImageFacts], labels: int, request: Request, head: str) -> None:
    count = len(facts)
    channels = int(draft.values["dataset"]["channels"])
    described = {
        "channel_names": {str(number): "rgb_to_0_1" for number in range(channels)},
        "labels": {str(number): number for number in range(labels)},
        "numTraining": count,
        "file_ending": ".png",
    }
    fingerprint = {
        "spacings": [[999.0, 1.0, 1.0]] * count,  # as nnU-Net has it for images
        "shapes_after_crop": [[1, *each.size] for each in facts],
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 1.0,
    }
    block = plan(described, fingerprint, request.preset, memory=request.memory)["configurations"]["2d"]
    check_pooled(block, request.memory)
    median = by(median_size(facts))
    draft.put("dataset.crop", block["patch_size"], f"pixels; the largest for {request.memory:g} GB; median {median}")
    draft.put("train.batch_size", block["batch_size"], "images; as many as the memory holds, at least 2")
    nnunet_task.put_network(draft, block, list, request)
    draft.values["head"] = {"name": head, **draft.values["head"]}
    nnunet_task.put_loss(draft, block["batch_dice"], regions=False, ignores="ignore" in draft.values["dataset"])
    put_nnunet_recipe(draft, request.steps)


def _put_other(
    draft: Draft, facts: Sequence[ImageFacts], request: Request, host: Host, overrides: Sequence[str]
) -> None:
    median = median_size(facts)
    first = first_patch((1.0, 1.0), median)
    put_recipe(draft, request.steps)
    draft.put("evaluation.overlap", 0.5)
    cap = min(_MOST, max(2, round(0.05 * len(facts) * math.prod(median) / math.prod(first))))
    sized = fit(draft, request, host, overrides, _put, axes="image", where="voxel", first=first, whole=median, cap=cap)
    draft.reasons["dataset", "crop"] = (
        f"pixels, multiples of {by(sized.divisors)}; {memory_in_words(sized, request)}; median {by(median)}"
    )


def _put(draft: Draft, blocks: Mapping[str, Any], size: Size, batch: int) -> None:
    draft.put("dataset.crop", list(size))
    draft.put("train.batch_size", batch)
    draft.values["backbone"] = resized(blocks["backbone"], blocks, size)
    draft.values["head"] = blocks["head"]
