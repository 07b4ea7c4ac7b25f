"""Several labels, of cases and of clips: labels and scores (N, L), logits (N, views, L)."""

import re

import numpy as np
import torch

from comparison.figures.binary import FIGURES
from comparison.figures.cases import Case, Rules
from comparison.figures.classes import weighted
from medvid.evaluation.metrics import calibration, decisions, multilabel
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import UNKNOWN

MEANS: dict[str, ViewProtocol] = {
    "sigmoid_then_max": ViewProtocol("spread", "maximum", "labels"),
    "sigmoid_then_mean": ViewProtocol("spread", "probabilities", "labels"),
    "mean_of_logits_then_sigmoid": ViewProtocol("spread", "logits", "labels"),
    "softmax_then_mean": ViewProtocol("spread", "probabilities", "class"),
}
"""mmaction2's head takes the last, of labels too."""


def _per_label(case: Case, match: re.Match[str]) -> np.ndarray:
    pairs = zip(case["label"].T, case["score"].T, strict=True)
    return np.array([FIGURES[match["figure"].replace("AUC", "auroc")](*pair) for pair in pairs])


def _predicted(case: Case) -> np.ndarray:
    return (case["score"] > case.expected.get("threshold", 0.5)).astype(int)


def _f1(case: Case) -> np.ndarray:
    pairs = zip(case["label"].T, _predicted(case).T, strict=True)
    return np.array([decisions.f1(decisions.confusion(*pair, 2))[1] for pair in pairs])


LABELS: Rules = {
    r"(?P<figure>auroc|average_precision)_per_label": _per_label,
    r"(?P<figure>auroc|average_precision)_macro over .*": lambda c, m: np.nanmean(_per_label(c, m)),
    r"(?P<figure>auroc)_weighted over defined labels": lambda c, m: weighted(_per_label(c, m), c["label"].sum(0)),
    r"(?P<figure>auroc|average_precision)_micro\.(sklearn|torchmetrics)": lambda c, m: FIGURES[m["figure"]](
        c["label"].ravel(), c["score"].ravel()
    ),
    r"(?P<figure>auroc)_macro\.sklearn": lambda c, m: _per_label(c, m).mean(),
    r"medmnist\.(?P<figure>AUC)": lambda c, m: _per_label(c, m).mean(),
    r"(?P<figure>auroc|average_precision)_macro\.torchmetrics": lambda c, m: np.nan_to_num(_per_label(c, m)).mean(),
    r"(?P<figure>average_precision)_macro\.sklearn": lambda c, m: np.nan_to_num(_per_label(c, m)).mean(),
    r"(?P<figure>average_precision)_weighted\.sklearn": lambda c, m: weighted(_per_label(c, m), c["label"].sum(0)),
    r"medmnist\.ACC": lambda c, _: ((c["score"] > 0.5) == c["label"]).mean(axis=0).mean(),
    r"f1_per_label \(0 if 0/0\)": lambda c, _: np.nan_to_num(_f1(c)),
    r"f1_macro \(0 if 0/0\)": lambda c, _: np.nan_to_num(_f1(c)).mean(),
    r"f1_micro": lambda c, _: decisions.f1(decisions.confusion(c["label"].ravel(), _predicted(c).ravel(), 2))[1],
    r"f1_samples \(0 if 0/0\)": lambda c, _: np.nan_to_num(multilabel.f1_per_case(c["label"], _predicted(c))).mean(),
    r"exact_match": lambda c, _: multilabel.exact_match(c["label"], _predicted(c)),
    r"hamming_loss": lambda c, _: multilabel.hamming_loss(c["label"], _predicted(c)),
    r"label_ranking_average_precision\.sklearn": lambda c, _: multilabel.label_ranking_average_precision(
        c["label"], c["score"]
    ),
    r"brier_per_label": lambda c, _: [
        calibration.brier_positive(*pair) for pair in zip(c["label"].T, c["score"].T, strict=True)
    ],
}


def _uncertain(case: Case, match: re.Match[str]) -> Case:
    """CheXpert's annotations, with what is uncertain and what is blank replaced as the recorded policy says."""
    label, ids = case["label"], {"as 0": 0, "as 1": 1, "left out": UNKNOWN}
    uncertain = ids[match["uncertain"] or "left out"]
    blank = ids[match["blank"] or "left out"]
    truth = np.where(np.isnan(label), blank, np.where(label == -1, uncertain, label))
    return Case(case.name, {"label": truth, "score": case["score"]}, {})


def _known_auroc(case: Case) -> list[float]:
    names = [str(number) for number in range(case["label"].shape[1])]
    return [*figures_of_labels(case["score"], case["label"], names).by_name["auroc"].values()]


_POLICY = (
    r"(?:uncertain (?P<uncertain>as 0|as 1|left out), blank (?P<blank>as 0|as 1|left out).*"
    r"|uncertain and blank left out) > "
)
UNCERTAIN: Rules = {
    _POLICY + r"auroc_per_label": lambda c, m: _known_auroc(_uncertain(c, m)),
    _POLICY + r"auroc_macro over defined labels": lambda c, m: np.nanmean(_known_auroc(_uncertain(c, m))),
}


def _scored(case: Case, match: re.Match[str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores, those of views combined as the first key says."""
    if not (how := match["how"]):
        return case["label"], case["score"]
    answers = torch.stack([MEANS[how].combine(views) for views in torch.from_numpy(case["logits"])])
    return case["label"], (answers.exp() if MEANS[how].what == "class" else answers).numpy()


_HOW = rf"(?:(?P<how>{'|'.join(MEANS)}) > )?"
CLIPS: Rules = {
    _HOW + r"score": lambda c, m: _scored(c, m)[1],
    _HOW + r"ap_per_class": lambda c, m: multilabel.average_precision_per_label(*_scored(c, m)),
    _HOW + r"(slowfast_map.*|mmaction_mean_average_precision)": lambda c, m: np.nanmean(
        multilabel.average_precision_per_label(*_scored(c, m))
    ),
    _HOW + r"mmit_map \(.*\)\.mmaction": lambda c, m: np.nanmean(multilabel.average_precision_per_case(*_scored(c, m))),
    _HOW + r"mmit_map with cases that have no label": lambda c, m: np.mean(
        multilabel.average_precision_per_case(*_scored(c, m))
    ),
    _HOW + r"charades_ap_per_class.*": lambda c, m: multilabel.charades_average_precision(*_scored(c, m)),
    _HOW + r"charades_map \(mean.*": lambda c, m: np.mean(multilabel.charades_average_precision(*_scored(c, m))),
    _HOW + r"charades_map \(nanmean\)": lambda c, m: np.nanmean(multilabel.charades_average_precision(*_scored(c, m))),
    _HOW + r"charades_weighted_map.*": lambda c, m: weighted(
        multilabel.charades_average_precision(*_scored(c, m)), c["label"].sum(axis=0)
    ),
}
