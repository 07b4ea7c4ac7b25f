"""How much there is of a label, in truth and prediction.

What is relative is not defined where there is nothing to relate it to: without truth, or without either for the
similarity.
"""

import math
from collections.abc import Sequence

import numpy as np

ERROR_DEFINITION = (
    "volume error is predicted less true volume in ml, and relative to the true volume; the relative one is not "
    "defined without truth"
)
SIMILARITY_DEFINITION = (
    "volumetric similarity is 1 - |a - b| / (a + b) of predicted and true volume, whether or not they overlap; not "
    "defined where both are 0"
)


def millilitres(mask: np.ndarray, spacing: Sequence[float]) -> float:
    """Volume of a mask in ml, with the spacing in mm; of an image as if it were 1 mm thick."""
    return float(np.count_nonzero(mask) * math.prod(spacing) / 1000)


def volume_error(predicted: float, true: float) -> float:
    """Signed, in the unit of the volumes: above 0 where too much is predicted."""
    return predicted - true


def relative_volume_error(predicted: float, true: float) -> float:
    """Signed, as a fraction of the true volume; NaN without truth."""
    return (predicted - true) / true if true else math.nan


def volumetric_similarity(predicted: float, true: float) -> float:
    """See `SIMILARITY_DEFINITION`: 1 for equal volumes."""
    return 1 - abs(predicted - true) / (predicted + true) if predicted + true else math.nan
