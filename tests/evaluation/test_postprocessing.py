import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from medvid.config.evaluation import ALL, MedvidProtocolOptions, VoxelEvaluationOptions
from medvid.data.grid import Grid
from medvid.evaluation.inference.windows import InferredVoxels
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.components import components
from medvid.evaluation.postprocessing import Dice, LargestComponents, Steps, choose_steps, largest_component
from medvid.evaluation.protocols import medvid_protocol
from medvid.evaluation.scoring.candidates import CandidateScorer, dice_after
from medvid.plugin.info import TargetInfo

SHAPES = array_shapes(min_dims=2, max_dims=3, max_side=6)
CLASSES = TargetInfo("voxel", "class", ("background", "a", "b"))
LABELS = TargetInfo("voxel", "labels", ("a", "b"))
GRID = Grid((4, 4), (1, 1), (4, 4), (1, 1), (0, 1), (1, 1), (0, 0))


@given(arrays(bool, SHAPES))
def test_what_is_kept_are_whole_components_of_the_largest_size(mask: np.ndarray) -> None:
    kept, numbers = largest_component(mask), components(mask)
    sizes = np.bincount(numbers.ravel())[1:]
    assert {*np.unique(numbers[kept])} == {number + 1 for number, size in enumerate(sizes) if size == sizes.max()}
    assert kept.sum() == sum(size for size in sizes if size == sizes.max())
    np.testing.assert_array_equal(largest_component(kept), kept)


@given(arrays(np.uint8, SHAPES, elements=st.integers(0, 2)))
def test_classes_become_background_and_a_step_leaves_others_alone(label_map: np.ndarray) -> None:
    before = label_map.copy()
    together, own = (LargestComponents((step,), CLASSES)(label_map) for step in (ALL, "b"))
    np.testing.assert_array_equal(label_map, before)
    np.testing.assert_array_equal(together, np.where(largest_component(label_map > 0), label_map, 0))
    np.testing.assert_array_equal(own[label_map != 2], label_map[label_map != 2])
    np.testing.assert_array_equal(own == 2, largest_component(label_map == 2))


@given(arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 1)))
def test_labels_that_overlap_are_taken_away_one_by_one(masks: np.ndarray) -> None:
    together, own = (LargestComponents((step,), LABELS)(masks) for step in (ALL, "b"))
    np.testing.assert_array_equal(together, masks * largest_component(masks.any(axis=0)))
    np.testing.assert_array_equal(own, np.stack([masks[0], largest_component(masks[1] > 0)]))


def from_table(**table: Dice):
    """Dice after steps, which are named with _ between them."""

    def dice(steps: Steps) -> Dice:
        return table["_".join(steps) or "none"]

    return dice


@pytest.mark.parametrize(
    ("after", "chosen"),
    [
        ({"a": 0.5, "b": 0.7}, (ALL,)),
        ({"a": 0.49, "b": 0.9}, ()),  # a label falls
        ({"a": 0.5, "b": 0.6}, ()),  # nothing rises
        ({"a": 0.5, "b": math.nan}, ()),  # nothing of it is left, which is no gain
    ],
)
def test_all_labels_together_have_to_gain_and_none_to_lose(after: Dice, chosen: Steps) -> None:
    before = {"a": 0.5, "b": 0.6}
    table = from_table(none=before, all=after, a=before, b=before, all_a=after, all_b=after)
    assert choose_steps(("a", "b"), table) == chosen


def test_labels_follow_on_what_there_is_by_their_own_dice_alone() -> None:
    table = {
        "none": {"a": 0.5, "b": 0.5}, "all": {"a": 0.6, "b": 0.5},
        "all_a": {"a": 0.6, "b": 0.9}, "all_b": {"a": 0.1, "b": 0.8},
    }  # fmt: skip
    assert choose_steps(("a", "b"), from_table(**table)) == (ALL, "b")


def test_a_single_label_is_all_labels() -> None:
    table = {"none": {"a": 0.5}, "all": {"a": 0.4}, "a": {"a": 0.9}}
    assert choose_steps(("a",), from_table(**table)) == ()


@given(arrays(np.uint8, (2, 2, 4, 4), elements=st.integers(0, 2)))
def test_four_scores_of_a_case_tell_the_dice_after_any_steps(pairs: np.ndarray) -> None:
    """Two cases, each of a prediction and a truth."""
    protocol = medvid_protocol(MedvidProtocolOptions(name="medvid"), CLASSES)
    scorer = CandidateScorer(VoxelEvaluationOptions(), protocol, CLASSES)
    cases = [
        (SimpleNamespace(id=str(number), grid=GRID, native_truth=lambda truth=truth: truth), prediction)
        for number, (prediction, truth) in enumerate(pairs)
    ]
    rows = [
        row
        for case, prediction in cases
        for row in scorer.score(inferred(case, prediction), final=False, folder=Path())
    ]
    for steps in ((), (ALL,), ("b",), (ALL, "a"), ("a", "b"), (ALL, "a", "b")):
        process = LargestComponents(steps, CLASSES)
        direct = [protocol.rows(case, process(prediction), CLASSES.names, final=False) for case, prediction in cases]
        expected = {label: mean(one[place]["dice"] for one in direct) for place, label in enumerate("ab")}
        assert dice_after(steps, rows, ("a", "b")) == pytest.approx(expected, nan_ok=True)


def inferred(case: Any, prediction: np.ndarray) -> InferredVoxels:
    labels: Any = SimpleNamespace(labels=lambda: prediction)
    return InferredVoxels(case, labels, labels)
