"""The protocols of challenges give what the challenges' own programs gave, label map by label map."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from medvid.evaluation.metrics.lesions import WORST_HD95
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.testing.toy import ToyCase
from medvid_lesions.brats import brats_protocol
from medvid_lesions.config import BratsProtocolOptions, IslesProtocolOptions
from medvid_lesions.isles import isles_protocol

FIXTURE = Path(__file__).parents[1] / "parity/fixtures/segmentation"
LABELS = ("background", "necrosis", "oedema", "enhancing")
INFO = TargetInfo("voxel", "class", LABELS)
BRATS = brats_protocol(BratsProtocolOptions(name="brats"), INFO)
ISLES = isles_protocol(IslesProtocolOptions(name="isles"), INFO)


class Case(ToyCase):
    """Its truth has a sign, as some of it may be unknown."""

    def native_truth(self) -> np.ndarray:
        return self.target.numpy()


def recorded(name: str) -> tuple[Case, np.ndarray, dict[str, Any]]:
    """A case of the fixture, its prediction, and what was published of it."""
    arrays, cases = load_file(FIXTURE.with_suffix(".safetensors")), json.loads(FIXTURE.with_suffix(".json").read_text())
    truth, prediction = (arrays[f"{name}.{part}"].astype(np.int16) for part in ("truth", "prediction"))
    case = Case("a", torch.zeros(1, *truth.shape), torch.from_numpy(truth), "volume")
    return case, prediction.astype(np.uint8), cases["cases"][name]["expected"]


@pytest.mark.parametrize("name", ["glioma", "metastases", "both_empty", "truth_empty", "only_a_small_lesion"])
def test_brats(name: str) -> None:
    case, prediction, expected = recorded(f"brats2023_{name}")
    parameters = {"dilation": expected["dilation"], "least_volume": expected["volume_threshold_mm3"]}
    protocol = brats_protocol(BratsProtocolOptions(name="brats", **parameters), INFO)
    rows = {row["label"]: row for row in protocol.rows(case, prediction, LABELS, final=True)}
    assert rows.keys() == expected["regions"].keys()
    for region, published in expected["regions"].items():
        ours = rows[region]
        assert (ours["dice"], ours["hd95_mm"]) == pytest.approx((published["legacy_dice"], published["legacy_hd95"]))
        assert ours["lesion_dice"] == pytest.approx(published["lesionwise_dice"])
        assert ours["lesion_hd95_mm"] == pytest.approx(published["lesionwise_hd95"])
        counts = [ours[f"lesions_{key}"] for key in ("found", "missed", "false")]
        assert counts == [published[key] for key in ("tp", "fn", "fp")]


def test_isles() -> None:
    case, prediction, expected = recorded("isles2022")
    rows = ISLES.rows(case, prediction, ("background", "lesion"), final=True)
    assert rows[0]["lesion_f1"] == expected["lesion_f1 (1 if both empty)"]
    assert rows[0]["lesion_count_difference"] == expected["lesion_count_difference"]
    [nothing] = ISLES.rows(Case("b", case.prepared, 0 * case.target, "volume"), 0 * prediction, LABELS[:2], final=True)
    assert [nothing[key] for key in ("dice", "lesion_f1", "volume_difference_ml")] == [1.0, 1.0, 0.0]


def test_a_region_that_is_missed_has_the_worst_figures() -> None:
    case, prediction, _ = recorded("brats2023_glioma")
    whole, *_ = BRATS.rows(case, 0 * prediction, LABELS, final=True)
    assert (whole["dice"], whole["hd95_mm"], whole["lesion_dice"]) == (0.0, WORST_HD95, 0.0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_predicted_where_nothing_is_known_changes_nothing(seed: int) -> None:
    random, shape = np.random.default_rng(seed), (7, 6, 5)
    truth, prediction, other = (random.integers(4, size=shape) for _ in range(3))
    unknown = random.random(shape) < random.random()
    case = Case("a", torch.zeros(1, *shape), torch.from_numpy(np.where(unknown, UNKNOWN, truth)), "volume")
    other = np.where(unknown, other, prediction)
    for protocol in (BRATS, ISLES):
        found, wanted = (
            protocol.rows(case, label_map.astype(np.uint8), LABELS, final=True) for label_map in (other, prediction)
        )
        np.testing.assert_equal(found, wanted)


def test_regions_that_a_data_set_has_are_scored_as_they_are() -> None:
    case, prediction, expected = recorded("brats2023_glioma")
    regions = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
    stacks = [np.stack([np.isin(ids, region) for region in regions.values()]) for ids in (prediction, case.target)]
    stacked = Case("a", case.prepared, torch.from_numpy(stacks[1].astype(np.int16)), "volume")
    options = BratsProtocolOptions(name="brats")
    protocol = brats_protocol(options, TargetInfo("voxel", "labels", tuple(regions)))
    options.check_target(TargetInfo("voxel", "labels", tuple(regions)))
    rows = protocol.rows(stacked, stacks[0].astype(np.uint8), tuple(regions), final=True)
    for row, published in zip(rows, expected["regions"].values(), strict=True):
        assert row["lesion_dice"] == pytest.approx(published["lesionwise_dice"])


def test_options_of_a_resolved_task_are_those_of_the_task() -> None:
    """Which has all of them, also the regions that nobody gave."""
    regions = TargetInfo("voxel", "labels", ("WT", "TC", "ET"))
    given = BratsProtocolOptions(name="brats", dilation=1)
    again = BratsProtocolOptions.model_validate(given.model_dump(mode="json"))
    again.check_target(regions)
    assert again == given
    with pytest.raises(ValueError, match="regions unite classes"):
        BratsProtocolOptions(name="brats", regions={"all": (1, 2, 3)}).check_target(regions)
