"""Label maps with regions, with voxels that are to be ignored, and with labels that nobody drew."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from comparison.figures.cases import Case, Rules
from medvid.config.evaluation import MedvidProtocolOptions
from medvid.evaluation.metrics import masks
from medvid.evaluation.protocols import LabelMapProtocol, medvid_protocol
from medvid.plugin.info import UNKNOWN, TargetInfo, none_of
from medvid.testing.toy import ToyCase

LABELS = ("background", "1", "2", "3")
IGNORED = 255
Regions = dict[str, Sequence[int]]


class _Annotated(ToyCase):
    """Its truth as data sets have it where some may be unknown."""

    def native_truth(self) -> np.ndarray:
        return self.target.numpy()


def rows(
    prediction: np.ndarray, truth: np.ndarray, labels: Sequence[str], regions: Regions | None = None
) -> list[dict[str, Any]]:
    """The rows of the protocol medvid, one per label or region."""
    options = MedvidProtocolOptions.model_validate({"name": "medvid", "regions": regions or {}})
    protocol = medvid_protocol(options, TargetInfo("voxel", "class", tuple(labels)))
    assert isinstance(protocol, LabelMapProtocol)
    axes = "image" if truth.ndim == 2 else "volume"
    case = _Annotated("case", torch.zeros(1, *truth.shape), torch.from_numpy(truth.astype(np.int64)), axes)
    return protocol.rows(case, prediction, labels, final=True)


def _dice(case: Case, truth: np.ndarray, regions: Regions | None = None) -> dict[str, float]:
    found = rows(case["prediction"].astype(np.uint8), truth, LABELS, regions)
    return {row["label"]: row["dice"] for row in found}


def _with_background(case: Case, ignored: np.ndarray | None) -> list[float]:
    """Dice of all four; what is ignored counts for nothing, or is a fifth label."""
    truth = np.where(case["truth"] == IGNORED, len(LABELS), case["truth"])
    found: list[float] = masks.dice(masks.confusion_matrix(case["prediction"], truth, 5, ignored)).tolist()
    if ignored is not None:
        truth = np.where(ignored, UNKNOWN, case["truth"].astype(int))
        assert list(_dice(case, truth).values()) == found[1:4]
    return found[:4]


def _partial(case: Case, match: re.Match[str]) -> float:
    """Of a truth in which only the annotated labels were drawn."""
    drawn = case.expected["annotated"]
    truth = np.where(np.isin(case["truth"], drawn), case["truth"].astype(int), none_of(drawn))
    return _dice(case, truth)[match["label"]]


REGIONS: Rules = {
    r"(?P<name>\w+)": lambda c, m: _dice(c, c["truth"], c.said["regions"])[m["name"]],
}
IGNORE: Rules = {
    r"ignored_voxels": lambda c, _: int((c["truth"] == IGNORED).sum()),
    r"dice per label .*": lambda c, _: _with_background(c, c["truth"] == IGNORED),
    r"wrong: .*": lambda c, _: _with_background(c, None),
}
PARTIAL: Rules = {r"dice > (?P<label>\d+)": _partial}
