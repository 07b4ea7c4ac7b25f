"""How nnU-Net normalises a channel, by its name in dataset.json."""

from collections.abc import Iterable

_SCHEMES = {
    "ct": "CTNormalization",
    "nonorm": "NoNormalization",
    "rescale_to_0_1": "RescaleTo01Normalization",
    "rgb_to_0_1": "RGBTo01Normalization",
}
ZSCORE = "ZScoreNormalization"
_CROPPED = 0.75
"""Median share of a case that is left after cropping below which statistics are those of the part that is not 0."""


def schemes(channels: Iterable[str]) -> list[str]:
    """The schemes of channels; a name that is not known means z-score."""
    return [_SCHEMES.get(name.casefold(), ZSCORE) for name in channels]


def masked(chosen: Iterable[str], relative_size: float) -> list[bool]:
    """Whether statistics are of the cropped cases' nonzero mask alone.

    Args:
        chosen: the schemes.
        relative_size: median share of a case that is left after cropping.
    """
    return [scheme == ZSCORE and relative_size < _CROPPED for scheme in chosen]
