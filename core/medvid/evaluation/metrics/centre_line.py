"""Figures of vessels and other tubes by their centre lines: clDice (Shit et al., CVPR 2021)."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

CLDICE_DEFINITION = (
    "clDice is the harmonic mean of the part of the predicted centre line inside of the true mask and the part of the "
    "true centre line inside of the predicted one; centre lines by scikit-image's skeletonize (Zhang in 2D, Lee in 3D)"
)


@dataclass(frozen=True, slots=True)
class CentreLineScores:
    """How much of the centre lines lies inside of the other mask.

    Args:
        precision: |S_P and G| / |S_P|; NaN where the prediction has no centre line.
        sensitivity: |S_G and P| / |S_G|; NaN where the truth has none.
    """

    precision: float
    sensitivity: float

    @property
    def cldice(self) -> float:
        """See `CLDICE_DEFINITION`; NaN where neither has a centre line, 0 where one has none."""
        if math.isnan(self.precision) and math.isnan(self.sensitivity):
            return math.nan
        total = self.precision + self.sensitivity
        return 2 * self.precision * self.sensitivity / total if total > 0 else 0.0


def score_centre_lines(
    prediction: np.ndarray, truth: np.ndarray, predicted_line: np.ndarray, true_line: np.ndarray
) -> CentreLineScores:
    """Compare masks and centre lines, all (*S) bool."""
    return CentreLineScores(_inside(predicted_line, truth), _inside(true_line, prediction))


def _inside(line: np.ndarray, mask: np.ndarray) -> float:
    return int((line & mask).sum()) / int(line.sum()) if line.any() else math.nan


def centre_line(mask: np.ndarray) -> np.ndarray:
    """The centre line of a mask (*S) bool, by scikit-image, which medvid installs on request only."""
    from skimage.morphology import skeletonize

    line: np.ndarray = skeletonize(mask) > 0
    return line


def soft_skeleton(probabilities: np.ndarray, steps: int) -> np.ndarray:
    """The skeleton of probabilities (*S) as soft clDice has it: what thin parts are left after each erosion.

    Args:
        probabilities: of the foreground.
        steps: erosions; half of the width of the widest tube.
    """
    skeleton = np.zeros_like(probabilities)
    for _ in range(steps + 1):
        eroded = _erode(probabilities)
        thin = np.maximum(probabilities - ndimage.maximum_filter(eroded, 3, mode="nearest"), 0)
        skeleton += np.maximum(thin - skeleton * thin, 0)
        probabilities = eroded
    return skeleton


def _erode(image: np.ndarray) -> np.ndarray:
    """The least of a voxel and its neighbours across faces."""
    along = [ndimage.minimum_filter1d(image, 3, axis, mode="nearest") for axis in range(image.ndim)]
    return np.asarray(np.minimum.reduce(along))


def soft_cldice(probabilities: np.ndarray, truth: np.ndarray, steps: int = 3, smooth: float = 1.0) -> float:
    """Soft clDice of probabilities (*S), with its skeletons by `soft_skeleton`, as MONAI has it.

    Args:
        probabilities: of the foreground.
        truth: (*S), 0 or 1.
        steps: erosions.
        smooth: added above and below the two fractions.
    """
    true = truth.astype(probabilities.dtype)
    predicted_line, true_line = soft_skeleton(probabilities, steps), soft_skeleton(true, steps)
    precision = ((predicted_line * true).sum() + smooth) / (predicted_line.sum() + smooth)
    sensitivity = ((true_line * probabilities).sum() + smooth) / (true_line.sum() + smooth)
    return float(2 * precision * sensitivity / (precision + sensitivity + 1e-4))
