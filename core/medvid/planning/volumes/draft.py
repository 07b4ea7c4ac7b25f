"""A task for segmented volumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.labels import LabelScheme
from medvid.errors import ConfigError, DataError, ResourceError
from medvid.planning.draft import Draft
from medvid.planning.nnunet.plans import plan
from medvid.planning.nnunet.topology import plan_topology
from medvid.planning.recipe import suit_augmentation
from medvid.planning.request import Request
from medvid.planning.sides import keep_sides
from medvid.planning.splits import check_enough, put_split
from medvid.planning.volumes.channels import guess_channels, named_channels
from medvid.planning.volumes.facts import CaseFacts
from medvid.planning.volumes.fingerprint import as_dataset_json, as_fingerprint, check_facts
from medvid.planning.volumes.nnunet_task import put_plan
from medvid.planning.volumes.survey import survey
from medvid.planning.volumes.words import by, facts_in_words, notes_in_words

_FLAT_SPACING = 999.0
"""mm that nnU-Net gives the axis that images of two axes lack, or as many times the largest of the others."""


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """What was found out about a data set of volumes.

    Args:
        cases: ids of the labelled ones.
        facts: of each.
        channels: their names.
        scheme: the labels.
        plans: nnU-Net's.
        name: of its configuration.
    """

    cases: Sequence[str]
    facts: Sequence[CaseFacts]
    channels: Sequence[str]
    scheme: LabelScheme
    plans: Mapping[str, Any]
    name: str

    @property
    def block(self) -> Mapping[str, Any]:
        """The configuration of nnU-Net's plans."""
        found: Mapping[str, Any] = self.plans["configurations"][self.name]
        return found

    @property
    def spacing(self) -> list[float]:
        """Mm of the median case."""
        median: list[float] = np.median([each.spacing for each in self.facts], 0).tolist()
        return median


def look_at_volumes(
    dataset: VolumeDataset,
    draft: Draft,
    request: Request,
    progress: Progress,
    spacing: Sequence[float] | None = None,
) -> VolumeFacts:
    """Find out the facts, and plan as nnU-Net does.

    Args:
        dataset: the data.
        draft: gets the facts in words, and how cases are split.
        request: what was asked.
        progress: called with (done, total).
        spacing: mm, R, A, S, that the user wants; None: the one that the cases suggest.

    Raises:
        DataError: the cases cannot be used, or are too few.
        ConfigError: there is no such configuration for these data.
        ResourceError: nothing fits into the memory.
    """
    cases, scheme = dataset.index.labelled, dataset.options.label_scheme()
    check_enough(dataset.options.root, len(cases), "labelled case")
    facts = survey(dataset, cases, progress)
    count = dataset.options.channel_count()
    check_facts(cases, facts, count)
    channels = named_channels(dataset.options.root, count) or guess_channels(facts)
    fingerprint = _with_flat_axis(as_fingerprint(facts))
    described = as_dataset_json(channels, scheme, len(cases))
    plans = plan(
        described,
        fingerprint,
        request.preset,
        memory=request.memory,
        spacing=spacing[::-1] if spacing is not None else None,  # z, y, x there
        dataset_name=dataset.options.root.name,
    )
    name = request.configuration or ("3d_fullres" if "3d_fullres" in plans["configurations"] else "2d")
    if name not in plans["configurations"]:
        raise ConfigError(
            f"nnU-Net has no configuration {name} for these data, only {', '.join(plans['configurations'])}",
            hint="3d_lowres is planned where a patch holds less than a quarter of the median case",
        )
    check_pooled(plans["configurations"][name], request.memory)
    if name == "3d_fullres" and "3d_cascade_fullres" in plans["configurations"]:
        draft.head.append(
            "Not planned: nnU-Net's 3d_cascade_fullres, a second network that refines 3d_lowres, as a patch holds less "
            "than a quarter of the median case. --configuration 3d_lowres plans the first one."
        )
    _say_facts(draft, dataset, cases, facts, channels, scheme)
    put_split(draft, dataset, cases, request)
    return VolumeFacts(cases, facts, channels, scheme, plans, name)


def draft_unet(found: VolumeFacts, draft: Draft, request: Request, head: str) -> None:
    """nnU-Net's plan for a U-Net; `head` is its decoder."""
    put_plan(draft, found.plans, found.name, found.spacing, request, found.scheme)
    draft.values["head"] = {"name": head, **draft.values["head"]}
    keep_sides(draft, found.scheme.names, request)
    suit_augmentation(draft, request.steps, len(found.cases))


def _with_flat_axis(fingerprint: dict[str, Any]) -> dict[str, Any]:
    """Give an axis with one voxel in all cases the spacing that images have there, so that it is never one in space."""
    shapes = np.array(fingerprint["shapes_after_crop"])
    flat = np.flatnonzero((shapes == 1).all(axis=0))
    if len(flat) != 1:
        return fingerprint
    spacings = np.array(fingerprint["spacings"], dtype=float)
    spacings[:, flat[0]] = _FLAT_SPACING * np.delete(spacings, flat[0], axis=1).max(axis=1).clip(1)
    return fingerprint | {"spacings": spacings.tolist()}


def check_pooled(block: Mapping[str, Any], memory: float) -> None:
    """Refuse a plan without a pooling, whether of small cases or of a small memory."""
    if len(block["architecture"]["arch_kwargs"]["strides"]) > 1:
        return
    size = block["median_image_size_in_voxels"]
    if len(plan_topology(block["spacing"], size).strides) > 1:
        raise ResourceError(
            f"no patch that a U-Net could halve fits into the memory of {memory:g} GB",
            hint="plan for more: --memory GB",
        )
    raise DataError(
        f"the cases are too small for a U-Net: the median one has {by(size)} voxels, and two axes need at least 8 or "
        "one 12, of voxels of similar size, to be halved once",
        hint="they are of a size for a network without poolings: plan for another --backbone",
    )


def _say_facts(
    draft: Draft,
    dataset: VolumeDataset,
    cases: Sequence[str],
    facts: Sequence[CaseFacts],
    channels: Sequence[str],
    scheme: LabelScheme,
) -> None:
    draft.head += facts_in_words(facts, scheme)
    draft.head += notes_in_words(cases, facts)
    root = dataset.options.root
    if named_channels(root, len(channels)):
        draft.reasons["dataset", "normalize"] = f"by the names of channels in dataset.json: {', '.join(channels)}"
    else:
        draft.reasons["dataset", "normalize"] = f"guessed from intensities: {', '.join(channels)}"
        draft.head.append(
            f"Not known: what the channels are; their values look like {', '.join(channels)}. channel_names in "
            "dataset.json could say it."
        )
