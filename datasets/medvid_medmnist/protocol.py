"""MedMNIST's official figures (medmnist.evaluator, 3.0.2), recomputed: AUC and ACC."""

import numpy as np

from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.ranking import auroc
from medvid.evaluation.protocols import CaseFigures, ViewProtocol
from medvid.plugin.info import TargetInfo
from medvid_medmnist.config import MedMNISTProtocolOptions

AUC = Figure(
    "auc",
    "AUC",
    3,
    "auc is MedMNIST's: of two classes that of the last one, else the mean of the AUROCs of all classes against the "
    "rest, or of all labels; not defined where one of them is not",
    better="higher",
)
ACC = Figure(
    "acc",
    "ACC",
    3,
    "acc is MedMNIST's: the share of right answers; of two classes, and of labels (mean over them), above 0.5",
    better="higher",
)


def medmnist_protocol(options: MedMNISTProtocolOptions, target_info: TargetInfo) -> ViewProtocol:  # noqa: ARG001
    """Views as medvid has them: there is one; the headline is MedMNIST's."""
    of = figures_of_labels if target_info.what == "labels" else figures_of_classes
    return ViewProtocol("spread", "probabilities", target_info.what, CaseFigures((AUC, ACC), of, monitor="auc"))


def figures_of_classes(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """AUC and ACC of one class per case.

    Args:
        probabilities: (N, C).
        truth: ids (N,).
    """
    if probabilities.shape[1] == 2:
        right = (probabilities[:, 1] > 0.5) == (truth == 1)
        return {"auc": auroc(truth == 1, probabilities[:, 1]), "acc": float(right.mean())}
    each = [auroc(truth == one, probabilities[:, one]) for one in range(probabilities.shape[1])]
    return {"auc": float(np.mean(each)), "acc": float((probabilities.argmax(axis=1) == truth).mean())}


def figures_of_labels(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """AUC and ACC of several labels per case, all known.

    Args:
        probabilities: (N, L).
        truth: 0 or 1 (N, L).
    """
    each = [auroc(truth[:, one], probabilities[:, one]) for one in range(probabilities.shape[1])]
    return {"auc": float(np.mean(each)), "acc": float(((probabilities > 0.5) == truth).mean(axis=0).mean())}
