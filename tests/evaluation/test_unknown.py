"""What nobody has annotated counts in no figure, whatever is predicted there; and how much there was is said."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.config.evaluation import MedvidProtocolOptions
from medvid.errors import DataError
from medvid.evaluation.inference.views import InferredViews
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, InputInfo, TargetInfo
from medvid.testing import ToyDataset, ToyOptions
from medvid.testing.evaluation import make_evaluator
from medvid.testing.toy import ToyCase

HOST = make_host()
LABELS = ("background", "one", "two")
SHAPE = (7, 6, 5)


def protocol(name: str) -> LabelMapProtocol:
    info = InputInfo("volume", 1, SHAPE)
    scorer = make_evaluator(HOST, info, TargetInfo("voxel", "class", LABELS, has_unknown=True), protocol=name).scorer
    return scorer._protocol  # type: ignore[attr-defined, no-any-return]


PROTOCOLS = {name: protocol(name) for name in ("medvid", "unetr", "transunet")}


class Case(ToyCase):
    """Its truth is int16, as some of it may be unknown."""

    def native_truth(self) -> np.ndarray:
        return self.target.short().numpy()


def label_maps(seed: int) -> tuple[np.ndarray, Case]:
    random = np.random.default_rng(seed)
    prediction, truth = (random.integers(3, size=SHAPE).astype(np.uint8) for _ in range(2))
    truth = truth.astype(np.int16)
    truth[random.random(SHAPE) < random.random()] = UNKNOWN
    return prediction, Case("a", torch.zeros(1, *SHAPE), torch.from_numpy(truth), "volume")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(PROTOCOLS)))
def test_what_is_predicted_at_unknown_voxels_changes_no_figure(seed: int, name: str) -> None:
    prediction, case = label_maps(seed)
    other = np.where(
        case.native_truth() == UNKNOWN, np.random.default_rng(seed + 1).integers(3, size=SHAPE), prediction
    )
    found, wanted = (
        PROTOCOLS[name].rows(case, label_map.astype(np.uint8), LABELS, final=True) for label_map in (other, prediction)
    )
    np.testing.assert_equal(found, wanted)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_predicted_at_unknown_voxels_of_a_region_changes_no_figure(seed: int) -> None:
    random = np.random.default_rng(seed)
    prediction, other, truth = (random.integers(2, size=(2, *SHAPE)).astype(np.int8) for _ in range(3))
    truth[random.random(truth.shape) < random.random()] = UNKNOWN
    other = np.where(truth == UNKNOWN, other, prediction)
    case = Case("a", torch.zeros(1, *SHAPE), torch.from_numpy(truth), "volume")
    found, wanted = (PROTOCOLS["medvid"].rows(case, masks, LABELS[1:], final=True) for masks in (other, prediction))
    np.testing.assert_equal(found, wanted)
    for row, mask, true in zip(wanted, prediction, truth, strict=True):
        known = true != UNKNOWN
        sizes = int(mask[known].sum() + true[known].sum())
        dice = 2 * int((mask & true)[known].sum()) / sizes if sizes else math.nan
        np.testing.assert_equal(row["dice"], dice)
        assert row["voxels_unknown"] == (~known).sum()
    assert [(row["label"], row["label_id"]) for row in wanted] == [("one", 1), ("two", 2)]


def test_a_surface_is_not_seen_where_its_other_side_is_unknown() -> None:
    truth = np.zeros((9, 9, 9), np.int16)
    truth[2:7, 2:7, 2:7] = 1
    prediction = truth.astype(np.uint8)
    prediction[5:] = 0  # wrong, at the two planes that are unknown in the truth
    truth[5:] = UNKNOWN
    case = Case("a", torch.zeros(1, *truth.shape), torch.from_numpy(truth), "volume")
    [row] = PROTOCOLS["medvid"].rows(case, prediction, LABELS[:2], final=True)
    assert (row["dice"], row["hd95_mm"], row["voxels_unknown"]) == (1.0, 0.0, 4 * 81)


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_case_of_which_nothing_is_known_counts_nowhere(name: str) -> None:
    prediction, case = label_maps(0)
    bare = Case("b", case.prepared, torch.full(SHAPE, UNKNOWN), "volume")
    target = TargetInfo("voxel", "class", LABELS, has_unknown=True)
    scorer = make_evaluator(HOST, InputInfo("volume", 1, SHAPE), target, protocol=name).scorer
    rows = PROTOCOLS[name].rows(case, prediction, LABELS, final=True)
    all_rows = rows + PROTOCOLS[name].rows(bare, prediction, LABELS, final=True)
    alone, together = scorer.summarise(rows), scorer.summarise(all_rows)
    assert together.metrics == pytest.approx(dict(alone.metrics), nan_ok=True)
    voxels = rows[0]["voxels_unknown"] + bare.target.numel()
    assert f"{voxels} voxels in 2 of 2 cases have no label and are left out of all figures" in together.notes


def classes(has_unknown: bool) -> tuple[ToyDataset, InputInfo, TargetInfo]:
    info, target = InputInfo("image", 1, (4, 4)), TargetInfo("case", "class", LABELS, has_unknown=has_unknown)
    return ToyDataset(ToyOptions.of(info, target)), info, target


def scored(has_unknown: bool, labels: list[int | None], tmp_path: Path) -> object:
    _, info, target = classes(has_unknown)
    scorer = make_evaluator(HOST, info, target, protocol=MedvidProtocolOptions(name="medvid")).scorer
    generator = torch.Generator().manual_seed(0)
    rows = []
    for number, label in enumerate(labels):
        case = ToyCase(str(number), torch.zeros(1, 4, 4), None if label is None else torch.tensor(label), "image")
        scores = torch.randn(3, generator=generator).double().log_softmax(0)
        rows += scorer.score(InferredViews(case, scores, (4, 4)), final=True, folder=tmp_path)
    return scorer.summarise(rows)


def test_cases_without_a_label_count_in_no_accuracy_and_are_counted(tmp_path: Path) -> None:
    known = scored(True, [0, 2], tmp_path)
    some = scored(True, [0, 2, None, None], tmp_path)
    assert some.metrics == pytest.approx(known.metrics, nan_ok=True)  # type: ignore[attr-defined]
    assert some.table == known.table  # type: ignore[attr-defined]
    assert "2 of 4 cases have no label and are left out of all figures" in some.notes  # type: ignore[attr-defined]


def test_where_each_case_should_have_a_label_one_without_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="case 1 has no label"):
        scored(False, [0, None], tmp_path)
