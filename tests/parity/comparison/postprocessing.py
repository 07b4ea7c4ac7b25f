"""What nnU-Net's post-processing leaves, and how it is chosen (fixture ``post_largest_component``), against ours."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from comparison.checks import Check
from medvid.config.evaluation import ALL
from medvid.evaluation.metrics import masks
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.postprocessing import Dice, Steps, choose_steps, keep_largest

Arrays = Mapping[str, np.ndarray]


def is_postprocessing_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        return {"chosen", "before", "after"} <= json.loads(path.with_suffix(".json").read_text()).keys()
    except (OSError, ValueError, AttributeError):
        return False


def compare_postprocessing(path: Path) -> Iterator[Check]:
    """Process the label maps, and choose for the cases."""
    arrays, recorded = load_file(path.with_suffix(".safetensors")), json.loads(path.with_suffix(".json").read_text())
    for name in sorted(arrays):
        map_name, _, argument = name.partition(".")
        if argument and map_name != "cv":
            ids = _ids(argument, recorded["labels"])
            yield _check(name, keep_largest(arrays[map_name], ids), arrays[name])
    yield from _compare_choice(arrays, recorded)


def _ids(argument: str, labels: Mapping[str, int]) -> Sequence[int]:
    """Of the labels that are one mask; a region and a label together are all of them."""
    kind, *ids = argument.split("_")
    return [int(number) for number in ids] if kind in ("label", "region") else [n for n in labels.values() if n]


def _compare_choice(arrays: Arrays, recorded: Mapping[str, Any]) -> Iterator[Check]:
    cases = [name.removeprefix("cv.pred.") for name in sorted(arrays) if name.startswith("cv.pred.")]
    groups = {name: _numbers(name) for name in recorded["before"]["mean"]}
    groups_and_all = {ALL: frozenset().union(*groups.values()), **groups}

    def processed(case: str, steps: Steps) -> np.ndarray:
        label_map = arrays[f"cv.pred.{case}"]
        for step in steps:
            label_map = keep_largest(label_map, groups_and_all[step])
        return label_map

    def dice(steps: Steps) -> Dice:
        maps = [(processed(case, steps), arrays[f"cv.ref.{case}"]) for case in cases]
        return {name: mean(_dice(*pair, ids) for pair in maps) for name, ids in groups.items()}

    steps = choose_steps([*groups], dice)
    ours = [groups_and_all[step] for step in steps]
    theirs = [_numbers(json.dumps(step["labels_or_regions"])) for step in recorded["chosen"]]
    yield Check(f"steps: {', '.join(steps) or 'none'}", float(ours != theirs), 0)
    for case in cases:
        yield _check(f"case {case}, processed", processed(case, steps), arrays[f"cv.post.{case}"])
    for name, done in (("before", ()), ("after", steps)):
        found, expected = dice(done), recorded[name]["mean"]
        differences = [abs(found[label] - expected[label]["Dice"]) for label in groups]
        yield Check(f"Dice {name}", max(differences), 1e-12)


def _numbers(text: str) -> frozenset[int]:
    return frozenset(int(number) for number in re.findall(r"\d+", text))


def _dice(prediction: np.ndarray, truth: np.ndarray, ids: Collection[int]) -> float:
    both = (np.isin(label_map, list(ids)).astype(np.uint8) for label_map in (prediction, truth))
    return float(masks.dice(masks.confusion_matrix(*both, 2))[1])


def _check(name: str, ours: np.ndarray, theirs: np.ndarray) -> Check:
    return Check(name, float((ours != theirs).sum()), 0)
