"""nnU-Net's summary.json (fixture ``metrics_summary``) against the protocol medvid: cases and their means."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from comparison.checks import Check
from comparison.figures.cases import Case, Rules, compare_case
from comparison.figures.label_maps import Regions, rows
from medvid.evaluation.metrics.aggregate import mean
from medvid.plugin.info import UNKNOWN

LABELS = ("background", "1", "2", "3", "4")
IGNORED = 4


def is_summary_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        results = json.loads(path.with_suffix(".json").read_text())["results"]
        return all({"per_case", "foreground_mean"} <= result.keys() for result in results.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def compare_summary(path: Path) -> Iterator[Check]:
    """Score the cases as labels or regions, as each result says, with the last label ignored or not."""
    tensors = load_file(path.with_suffix(".safetensors"))
    for name, result in json.loads(path.with_suffix(".json").read_text())["results"].items():
        cases = {
            str(number): _figures(tensors[f"pred.{number}"], tensors[f"ref.{number}"], result["mean"], "ignore" in name)
            for number in range(len(result["per_case"]))
        }
        recorded = {str(number): figures for number, figures in enumerate(result["per_case"])}
        expected = {**recorded, "mean": result["mean"], "foreground_mean": result["foreground_mean"]}
        yield from compare_case(Case(name, {}, expected), _rules(cases))


def _rules(cases: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Rules:
    """Of figures by case and label: means leave out what is not defined; those over labels do not."""

    def label_mean(label: str, key: str) -> float:
        return mean(figures[label][key] for figures in cases.values())

    labels = next(iter(cases.values()))
    return {
        r"(\d+) > (.+) > (\w+)": lambda _, m: cases[m[1]][m[2]][m[3]],
        r"mean > (.+) > (\w+)": lambda _, m: label_mean(m[1], m[2]),
        r"foreground_mean > (\w+)": lambda _, m: np.mean([label_mean(label, m[1]) for label in labels]),
    }


def _figures(
    prediction: np.ndarray, truth: np.ndarray, keys: Mapping[str, Any], ignore: bool
) -> dict[str, dict[str, float]]:
    """By label: the counts that a row of ours holds, and nnU-Net's names for what follows from them."""
    regions: Regions = {key: tuple(map(int, key.strip("()").split(","))) for key in keys}
    known = np.where(truth == IGNORED, UNKNOWN, truth.astype(int)) if ignore else truth
    found = {row["label"]: row for row in rows(prediction, known, LABELS, regions)}
    return {label: _counts(row, known != UNKNOWN) for label, row in found.items()}


def _counts(row: Mapping[str, Any], known: np.ndarray) -> dict[str, float]:
    true, predicted, dice = row["voxels_true"], row["voxels_predicted"], row["dice"]
    both = 0 if np.isnan(dice) else round(dice * (true + predicted) / 2)
    return {
        "Dice": dice,
        "IoU": dice / (2 - dice),
        "TP": both,
        "FP": predicted - both,
        "FN": true - both,
        "TN": int(known.sum()) - true - predicted + both,
        "n_pred": predicted,
        "n_ref": true,
    }
