"""A figure, defined once: its column in the rows, its heading, and its meaning."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", ""]
"""Which way a figure is better; empty where neither is, as of a count or a bias."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a case and label.

    Args:
        column: its name in rows, in cases.csv and among the metrics.
        heading: its name for people.
        digits: decimals that people are shown.
        definition: a sentence that travels with it, in which {unit} stands for the unit of the distances; empty where
            the name says it all.
        unit: of a length.
        better: which way it is better; what says neither is not compared.
    """

    column: str
    heading: str
    digits: int = 3
    definition: str = ""
    unit: str = ""
    better: Better = ""

    def text(self, value: float) -> str:
        """The figure for people; - where it is not defined."""
        return "-" if math.isnan(value) else f"{value:.{self.digits}f}"


def occurring(figures: Iterable[Figure], row: Mapping[str, object]) -> list[Figure]:
    """Those figures that a row has."""
    return [figure for figure in figures if figure.column in row]


def definitions(figures: Sequence[Figure]) -> list[str]:
    """The sentences that travel with figures, in their order."""
    unit = next((figure.unit for figure in figures if figure.unit), "")
    return [figure.definition.replace("{unit}", unit) for figure in figures if figure.definition]


def directions(figures: Iterable[Figure]) -> dict[str, Better]:
    """Which way each of these figures is better, by column."""
    return {figure.column: figure.better for figure in figures}
