"""The facts of cases as nnU-Net's dataset.json and dataset_fingerprint.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medvid.data.volumes.labels import BACKGROUND, LabelScheme
from medvid.errors import DataError
from medvid.planning.volumes.facts import CaseFacts
from medvid.planning.volumes.intensities import summarise
from medvid.sentences import listed


def as_fingerprint(facts: Sequence[CaseFacts]) -> dict[str, Any]:
    """nnU-Net's fingerprint; its axes are ours backwards, S, A, R, which are those of a file stored along them."""
    channels = range(len(facts[0].lowest))
    return {
        "spacings": [list(each.spacing[::-1]) for each in facts],
        "shapes_after_crop": [list(each.cropped[::-1]) for each in facts],
        "foreground_intensity_properties_per_channel": {
            str(channel): summarise([each.drawn[channel] for each in facts]) for channel in channels
        },
        "median_relative_size_after_cropping": float(np.median([each.relative_size for each in facts])),
    }


def as_dataset_json(channels: Sequence[str], scheme: LabelScheme, cases: int) -> dict[str, Any]:
    """The entries of dataset.json that a plan depends on.

    Args:
        channels: their names.
        scheme: the labels.
        cases: the number of training cases.
    """
    notation = scheme.notation
    labels = notation if isinstance(notation, Mapping) else {name: number for number, name in enumerate(notation)}
    return {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {BACKGROUND: 0} | dict(labels) if scheme.regions else dict(labels),
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }


def check_facts(cases: Sequence[str], facts: Sequence[CaseFacts], channels: int) -> None:
    """Refuse cases that nothing can be planned for.

    Args:
        cases: ids.
        facts: of them.
        channels: that each has to have.

    Raises:
        DataError: one has another number of channels or nothing but zeros, or nothing is labelled in any case.
    """
    odd = [
        f"{case} has {len(each.lowest)}"
        for case, each in zip(cases, facts, strict=True)
        if len(each.lowest) != channels
    ]
    if odd:
        raise DataError(
            f"cases have other numbers of channels than the {channels} of the data set: {listed(odd)}",
            hint="correct these cases, or say how many channels there are: --set dataset.channels=N",
        )
    blank = [case for case, each in zip(cases, facts, strict=True) if not any(each.lowest) and not any(each.highest)]
    if blank:
        raise DataError(f"all voxels are 0 in {listed(blank)}", hint="replace these files, or take the cases out")
    if not any(any(each.label_voxels[1:]) for each in facts):
        raise DataError(
            f"nothing is labelled in any of the {len(cases)} cases: all voxels are background",
            hint="check that the label maps are those of these images",
        )
