"""The figure of the RSNA haemorrhage challenge (2019): a weighted log loss of all labels of all slices."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.protocols import CaseFigures, ViewProtocol
from medvid.plugin.info import TargetInfo
from medvid_rsna.config import RSNAProtocolOptions

LEAST = 1e-15
"""Probabilities are kept this far from 0 and 1."""


def rsna_protocol(options: RSNAProtocolOptions, target_info: TargetInfo) -> ViewProtocol:
    """Windows as medvid has them; the log loss stands beside medvid's figures, AUROC chooses the weights.

    A log loss is better the lower it is, and of two checkpoints it favours the less confident one.
    """
    weights = [options.weights.get(name, 1.0) for name in target_info.names]
    figure = Figure("weighted_log_loss", "w. log loss", 4, _definition(target_info.names, weights), better="lower")
    figures = CaseFigures((figure,), partial(weighted_log_loss, weights=weights), monitor="auroc")
    return ViewProtocol("spread", "probabilities", target_info.what, figures)


def weighted_log_loss(probabilities: np.ndarray, truth: np.ndarray, weights: Sequence[float]) -> dict[str, float]:
    """The weighted mean of the binary log losses of all labels of all slices that are known.

    Args:
        probabilities: (N, L).
        truth: 0 or 1 (N, L), NaN where unknown.
        weights: of each label (L,).
    """
    p = np.clip(probabilities.astype(np.float64), LEAST, 1 - LEAST)
    known = ~np.isnan(truth)
    losses = -np.log(np.where(truth == 1, p, 1 - p))
    shares = known * np.asarray(weights, np.float64)
    total = float(shares.sum())
    return {"weighted_log_loss": float((losses * shares).sum()) / total if total else float("nan")}


def _definition(names: Sequence[str], weights: Sequence[float]) -> str:
    said = ", ".join(f"{name} {weight:g}" for name, weight in zip(names, weights, strict=True) if weight != 1)
    return (
        "weighted_log_loss is the mean of -ln of the probability of what is true over all labels of all slices, by the "
        f"weights of the labels: {said or 'all 1'}{', the others 1' if said else ''}"
    )
