"""What the cells of a table say: a class, a finding, or a number."""

import math
from collections.abc import Mapping
from typing import Literal

from medvid.plugin.info import UNKNOWN
from medvid.similar import suggest

Uncertain = Literal["ignore", "zeros", "ones"]
"""What -1, an uncertain finding, counts as (Irvin et al., AAAI 2019): as unknown, absent or present."""

_TRUE = {"1", "yes", "true", "y", "positive", "present"}
_FALSE = {"0", "no", "false", "n", "negative", "absent"}
_MISSING = {"", "nan", "na", "n/a", "null"}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def is_missing(cell: str) -> bool:
    """Whether a cell says nothing: empty, or a program's word for that."""
    return cell.casefold() in _MISSING


def class_of(cell: str, ids: Mapping[str, int]) -> int:
    """The id of a class by its name; `UNKNOWN` of an empty cell.

    Raises:
        ValueError: there is no such class.
    """
    if not cell:
        return UNKNOWN
    if cell not in ids:
        raise ValueError(f"{cell!r} is not one of the classes{suggest(cell, [*ids])}")
    return ids[cell]


def finding_of(cell: str, uncertain: Uncertain, blank: Literal["ignore", "zeros"]) -> float:
    """0 or 1 of a finding; `UNKNOWN` where nobody knows.

    Args:
        cell: 1 or 0, yes or no, true or false; -1 is uncertain.
        uncertain: what -1 counts as.
        blank: what an empty cell counts as.

    Raises:
        ValueError: it is none of these.
    """
    if is_missing(cell):
        return 0.0 if blank == "zeros" else UNKNOWN
    text = cell.casefold().removesuffix(".0")
    if text == "-1":
        return {"ignore": float(UNKNOWN), "zeros": 0.0, "ones": 1.0}[uncertain]
    if text not in _TRUE | _FALSE:
        raise ValueError(f"{cell!r} is not a finding: 1 or 0, yes or no, -1 where it is uncertain")
    return float(text in _TRUE)


def value_of(cell: str) -> float:
    """A number; NaN of a cell that says nothing.

    Raises:
        ValueError: it is not a finite number.
    """
    if is_missing(cell):
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        point = "; write decimals with a point" if "," in cell else ""
        raise ValueError(f"{cell!r} is not a number{point}") from None
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is not finite")
    return value


def split_of(cell: str) -> str:
    """The split that a word means.

    Raises:
        ValueError: none.
    """
    if cell.casefold() not in _SPLITS:
        raise ValueError(f"{cell!r} is not a split: train, validation or test")
    return _SPLITS[cell.casefold()]


def is_split(name: str) -> bool:
    """Whether a word means a split."""
    return name.casefold() in _SPLITS
