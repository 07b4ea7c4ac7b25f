"""A task for images or volumes with a class, findings or numbers each: size, intensities, batch, balance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.tables.dataset import AnsweredDataset
from medvid.data.tables.facts import AIR, FileFacts
from medvid.planning.backbones import resized
from medvid.planning.draft import Draft
from medvid.planning.fitting import fit, memory_in_words
from medvid.planning.recipe import put_recipe
from medvid.planning.request import Request
from medvid.planning.sides import has_side
from medvid.planning.sizing import Size
from medvid.planning.splits import check_enough, put_split
from medvid.planning.survey import kept, load_values, look_at_all, write_values
from medvid.planning.tables.answers import answers_in_words, put_balance
from medvid.planning.volumes.words import by
from medvid.plugin.host import Host
from medvid.plugin.specs import DatasetSpec

_VERSION = 1
"""Increase this when facts of older code must no longer be used."""
_LOOKED_AT = 500
"""Files that are read at most, spread evenly over the data set: medians need no more."""
_LONGEST = {"image": 224, "volume": 128}
"""Pixels or voxels of a side at most, with which whole images and volumes are usually classified."""
_LARGEST_BATCH = 64
_CHANGES = ("gaussian_noise", "brightness", "contrast", "gamma")


def draft_answered(
    dataset: AnsweredDataset, draft: Draft, request: Request, host: Host, overrides: Sequence[str], progress: Progress
) -> None:
    """Look at files and answers, and write the task.

    Args:
        dataset: the data.
        draft: the task.
        request: what was asked.
        host: has the components.
        overrides: what the user sets on top.
        progress: called with (done, total).

    Raises:
        DataError: files cannot be read, or are too few.
    """
    cases = dataset.labelled()
    check_enough(dataset.options.root, len(cases), "labelled case")
    chosen = cases[:: -(-len(cases) // _LOOKED_AT)]
    facts = look_at_all(partial(_look_up, dataset=dataset), chosen, progress)
    draft.head += _facts_in_words(facts, len(cases))
    draft.head += answers_in_words(dataset)
    put_split(draft, dataset, cases, request, divides=True)
    axes = host.spec(DatasetSpec, dataset.options.name).axes
    whole = np.median([each.size for each in facts], 0).tolist()
    _put_intensities(draft, facts, whole)
    _put_changes(draft, dataset.target_info.names, axes)
    put_balance(draft, dataset)
    put_recipe(draft, request.steps)
    first = [min(length, _LONGEST[axes]) for length in whole]
    cap = min(_LARGEST_BATCH, max(2, len(cases) // 4))
    sized = fit(draft, request, host, overrides, _put, axes=axes, where="case", first=first, whole=whole, cap=cap)
    draft.reasons["dataset", "size"] = (
        f"multiples of {by(sized.divisors)}; the median file has {by(whole)}, at most {_LONGEST[axes]} are usual; "
        f"{memory_in_words(sized, request)}"
    )


def _look_up(case: str, dataset: AnsweredDataset) -> FileFacts:
    key = ["answered", _VERSION, dataset.options.name, dataset.fingerprint(case)]
    return kept(dataset.options.cache, key, _load, partial(dataset.look_at, case), _write)


def _load(folder: Path) -> FileFacts:
    plain = load_values(folder)
    return FileFacts(**plain | {name: tuple(plain[name]) for name in ("size", "spacing")})


def _write(facts: FileFacts, folder: Path) -> None:
    write_values(asdict(facts), folder)


def _facts_in_words(facts: Sequence[FileFacts], total: int) -> Iterator[str]:
    sizes = np.array([each.size for each in facts])
    low, high, median = by(sizes.min(0)), by(sizes.max(0)), by(np.median(sizes, 0))
    looked_at = "" if len(facts) == total else f", of which {len(facts)} were looked at"
    spacing = f", voxels of {by(_spacing(facts))} mm (median)" if facts[0].spacing else ""
    yield (
        f"{total} files{looked_at}: {low if low == high else f'{low} to {high}'} (median {median}){spacing}, values "
        f"from {min(each.lowest for each in facts):g}"
    )
    channels = sorted({each.channels for each in facts})
    if len(channels) > 1:
        yield f"Mixed: files have {' or '.join(map(str, channels))} channels."


def _spacing(facts: Sequence[FileFacts]) -> list[float]:
    median: list[float] = np.median([each.spacing for each in facts], 0).tolist()
    return median


def _put_intensities(draft: Draft, facts: Sequence[FileFacts], whole: Sequence[float]) -> None:
    """Channels, window, normalisation and voxel size, unless the user says them."""
    given = draft.values["dataset"]
    coloured = max(each.channels for each in facts)
    if "channels" not in given:
        draft.put(
            "dataset.channels", coloured, f"{sum(each.channels == coloured for each in facts)} of {len(facts)} have"
        )
    window = [round(float(np.median([getattr(each, side) for each in facts])), 1) for side in ("low", "high")]
    is_set = {"window", "normalize"} & given.keys()
    if len(whole) == 2:
        if not is_set and not all(each.white for each in facts):
            draft.put("dataset.window", window, "median 0.5 and 99.5 percentile: the type of the files says no white")
        return
    if "spacing" not in given:
        draft.put("dataset.spacing", [round(length, 4) for length in _spacing(facts)], "mm; of the median file")
    if is_set:
        return
    if 2 * sum(each.lowest <= AIR for each in facts) > len(facts):
        draft.put("dataset.window", window, "HU, as most files have air: median 0.5 and 99.5 percentile of what is not")
    else:
        draft.put("dataset.normalize", "zscore", "no Hounsfield units: each volume on its own, as nnU-Net does")


def _put_changes(draft: Draft, names: Sequence[str], axes: str) -> None:
    """Small turns and changes of intensity; and mirrored from left to right, unless an answer has a side."""
    if "augment" in draft.values["dataset"]:
        return
    changes: list[dict[str, Any]] = [{"name": "spatial", "rotation": 15, "scaling": [0.8, 1.25]}]
    changes += [{"name": name} for name in _CHANGES]
    sided = [name for name in names if has_side(name)]
    flip = {"name": "horizontal_flip"} if axes == "image" else {"name": "flip", "axes": ["R"], "probability": 0.5}
    why = f"no flip, as {sided[0]} has a side" if sided else "turned little, as answers may depend on what is up"
    draft.put("dataset.augment", changes if sided else [*changes, flip], why)
    if not sided:
        draft.head.append("Not known: whether a mirrored case means the same; if not, take the flip out.")


def _put(draft: Draft, blocks: Mapping[str, Any], size: Size, batch: int) -> None:
    draft.put("dataset.size", list(size))
    draft.put("train.batch_size", batch)
    draft.values["backbone"] = resized(blocks["backbone"], blocks, size)
    draft.values["head"] = blocks["head"]
