"""Figures, intervals and p values for people."""

import math
from collections.abc import Callable

from medvid.evaluation.metrics.intervals import Interval


def text(value: float) -> str:
    """Four digits that count at most, and three decimals; - where it is not defined."""
    if math.isnan(value):
        return "-"
    return f"{value:z.3f}" if abs(value) < 10 else f"{value:.4g}"


def signed(value: float) -> str:
    """As `text`, with a sign."""
    shown = text(value)
    return shown if shown.startswith("-") else f"+{shown}"


def counted(number: int, of: str) -> str:
    """A number of things: 1 case, 2 cases."""
    return f"{number:,} {of}" + "s" * (number != 1)


def interval_text(interval: Interval, said: Callable[[float], str] = text) -> str:
    """An interval in brackets."""
    return f"[{said(interval.low)}, {said(interval.high)}]"


def p_text(p: float) -> str:
    """A p value with three decimals, below 0.001 with one digit; - where there is none."""
    if math.isnan(p):
        return "-"
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
