"""Palettes of masks that are compared: an index has to be the same thing in all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from medvid.data.images.case import Findings
from medvid.data.images.findings import check_palettes
from medvid.data.images.masks import Mask
from medvid.data.images.options import Colour
from medvid.data.images.palette import png_palette
from medvid.errors import DataError
from medvid.evaluation.mask_pairs import MaskPair
from medvid.plugin.info import UNKNOWN

_HINT = (
    "the order of a palette may be chance, and then its indices are not label ids: store label ids as gray values, or "
    "all masks with one palette"
)


@dataclass(slots=True)
class MaskPalettes:
    """The palettes of the pairs that were read so far.

    Args:
        labels: number of labels.
    """

    labels: int
    _truth: dict[str, Findings] = field(default_factory=dict)
    _predictions: dict[str, Findings] = field(default_factory=dict)

    def add(self, pair: MaskPair, truth: Mask, prediction: Mask) -> None:
        """Compare the palettes of a pair; those of gray masks are empty, and say nothing.

        Raises:
            DataError: an index of the prediction has the colour that another one has in the truth.
        """
        own = png_palette(self.labels)
        known = dict(list(truth.palette.items())[: self.labels])
        for index in np.unique(prediction.labels) if prediction.palette and not _is(prediction.palette, own) else ():
            colour = prediction.palette[index]
            others = [other for other in known if other != index and known[other] == colour != known[index]]
            if others:
                raise DataError(
                    f"case {pair.case}: {list(colour)} is {index} in the palette of {pair.prediction}, but {others[0]} "
                    f"in that of {pair.truth}",
                    hint=_HINT,
                )
        for found, mask, path in (
            (self._truth, truth, pair.truth),
            (self._predictions, prediction, pair.prediction),
        ):
            counts = np.bincount(mask.labels[mask.labels != UNKNOWN], minlength=self.labels)
            found[f"{pair.case} ({path})"] = Findings({}, counts, mask.palette, 1.0)

    def errors(self) -> list[DataError]:
        """What is wrong with the palettes of the truth, and with those of the predictions, each among themselves."""
        found = [*check_palettes(self._truth, {})[0].values(), *check_palettes(self._predictions, {})[0].values()]
        return [DataError(str(error), hint=_HINT) for error in found]


def _is(palette: Mapping[int, Colour], other: bytes) -> bool:
    return bytes(value for _, colour in sorted(palette.items()) for value in colour) == other
