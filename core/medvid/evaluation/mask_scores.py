"""Masks scored against masks, whoever made them: the figures of the closing evaluation without a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from medvid.config.images import ImageDatasetOptions
from medvid.data import nifti
from medvid.data.dataset import SegmentationCase
from medvid.data.description import BACKGROUND, same_label
from medvid.data.grid import Grid
from medvid.data.mask_files import Mask, read_mask
from medvid.data.problems import raise_together
from medvid.errors import ConfigError, DataError
from medvid.evaluation.aggregate import METRICS, headline, mean, per_label, state_notes, undefined_notes
from medvid.evaluation.label_table import HEADINGS, label_table
from medvid.evaluation.mask_pairs import MaskPair
from medvid.evaluation.mask_palettes import MaskPalettes
from medvid.evaluation.protocols import PROTOCOLS, Protocol
from medvid.models.head import Summary
from medvid.plugin.events import Table
from medvid.plugin.specs import Layout

_HINT = (
    "say how masks are read: --mask-values binary (white is foreground), nonzero (all that is not black is), or "
    "indexed (values are label ids, named with --labels); convert others to one of these"
)

SHOWN_CASES = 30
"""Cases in the table of cases."""


@dataclass(frozen=True, slots=True)
class MaskCase:
    """A case of which only the true mask is known; what a protocol asks of `medvid.data.dataset.SegmentationCase`."""

    id: str
    layout: Layout
    grid: Grid
    truth: np.ndarray

    def native_truth(self) -> np.ndarray:
        """Label ids on the grid of the file."""
        return self.truth


@dataclass(frozen=True, slots=True)
class MaskScores:
    """How masks are read and scored.

    Args:
        labels: names by id, the background first.
        protocol: one of `PROTOCOLS` that scores on the grid of files.
        tolerance: of the surface Dice, in mm, or pixels.
        mask_values: how masks that are images are read, see `medvid.config.images`; default: binary for two labels,
            else indexed.

    Raises:
        ConfigError: the protocol scores on a model's grid.
    """

    labels: tuple[str, ...]
    protocol: str = "medvid"
    tolerance: float = 2.0
    mask_values: str | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS or self._protocol.grid != "native":
            known = ", ".join(name for name, protocol in PROTOCOLS.items() if protocol.grid == "native")
            raise ConfigError(
                f"masks cannot be scored by the protocol {self.protocol!r}: it is not one on the grid of files",
                hint=f"give one of: {known}; others score on the grid of a model, by platform evaluate",
            )

    @property
    def _protocol(self) -> Protocol:
        return PROTOCOLS[self.protocol]

    def rows(self, pairs: Sequence[MaskPair], progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
        """Score all pairs: a row per case and label, as in an evaluation.

        Raises:
            DataError: masks cannot be read, or are not on one grid; all of them are named.
        """
        rows: list[dict[str, Any]] = []
        errors: list[DataError] = []
        palettes = MaskPalettes(len(self.labels))
        progress(0, len(pairs))
        for done, pair in enumerate(pairs, start=1):
            try:
                case, prediction = self._volumes(pair) if pair.is_volume else self._images(pair, palettes)
            except DataError as error:
                errors.append(error)
            else:
                if not errors:
                    rows += self._protocol.rows(
                        cast(SegmentationCase, case), prediction, self.labels, tolerance=self.tolerance
                    )
            progress(done, len(pairs))
        raise_together([*errors, *palettes.errors()], f"of {len(pairs)} cases cannot be scored")
        return rows

    def summarise(self, rows: Sequence[dict[str, Any]]) -> Summary:
        """Figures, table and what has to be said of them, as of an evaluation."""
        summaries = per_label(rows)
        figures = headline(summaries)
        first = self.labels[0]
        left_out = BACKGROUND if same_label(first) == BACKGROUND else f"{first!r} (id 0) taken for the background and"
        protocol = f" (figures of protocol {self.protocol})" if self.protocol != "medvid" else ""
        notes = [
            f"masks are compared on the grid of their files{protocol}; means are over cases, then over labels, "
            f"{left_out} left out",
            *(self._protocol.definitions[1:] if any(name.startswith("hd95") for name in figures) else ()),
            *([f"the tolerance of the surface Dice is {self.tolerance:g}"] if "surface_dice" in figures else []),
            *state_notes(summaries, self._protocol.empty),
            *undefined_notes(figures),
        ]
        return Summary(metrics=figures, table=label_table(summaries), notes=tuple(notes))

    def _volumes(self, pair: MaskPair) -> tuple[MaskCase, np.ndarray]:
        truth = nifti.read_labels(pair.truth, pair.case, len(self.labels))
        read = nifti.read_labels(pair.prediction, pair.case, len(self.labels))
        try:
            prediction = nifti.align(truth, read, pair.case, "prediction")
        except DataError as error:
            raise DataError(f"{str(error).replace('image', 'truth')} ({pair.prediction})", hint=error.hint) from None
        return MaskCase(pair.case, "volume", _grid(truth.data.shape, truth.spacing), truth.data), prediction.data

    def _images(self, pair: MaskPair, palettes: MaskPalettes) -> tuple[MaskCase, np.ndarray]:
        values = self.mask_values or ("binary" if len(self.labels) == 2 else "indexed")
        options = ImageDatasetOptions.model_validate(
            {"name": "masks", "root": pair.truth.parent, "labels": self.labels, "mask_values": values}
        )
        if pair.further and values == "indexed":
            names = ", ".join(path.name for path in (pair.truth, *pair.further))
            raise DataError(
                f"case {pair.case} has several true masks: {names}",
                hint="unite them, or give --mask-values binary, where each is a part of the foreground",
            )
        truths = [_read(path, pair.case, options) for path in (pair.truth, *pair.further)]
        read = _read(pair.prediction, pair.case, options)
        palettes.add(pair, truths[0], read)
        if len({mask.labels.shape for mask in truths}) > 1:
            raise DataError(f"case {pair.case}: its true masks differ in size: {pair.truth} and those numbered like it")
        truth, prediction = np.maximum.reduce([mask.labels for mask in truths]), read.labels
        if truth.shape != prediction.shape:
            sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (prediction, truth)]
            raise DataError(
                f"case {pair.case}: {pair.prediction} has {sizes[0]} pixels, {pair.truth} {sizes[1]}",
                hint="masks have to be of one size; resize with nearest-neighbour interpolation",
            )
        return MaskCase(pair.case, "image", _grid(truth.shape, (1.0, 1.0)), truth), prediction


def same_files(pairs: Sequence[MaskPair]) -> str:
    """What has to be said of predictions that are their truth, byte for byte; empty if none is."""
    same = [pair.case for pair in pairs if pair.prediction.read_bytes() == pair.truth.read_bytes()]
    return f"{len(same)} of {len(pairs)} predictions are byte for byte the files of the truth" if same else ""


def case_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The mean over labels of each figure, case by case, the lowest Dice first; at most `SHOWN_CASES`."""
    by_case: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_case.setdefault(row["case"], []).append(row)
    metrics = [metric for metric in METRICS if metric in rows[0]]
    figures = {case: [mean(row[metric] for row in own) for metric in metrics] for case, own in by_case.items()}
    ranked = sorted(figures, key=lambda case: (figures[case][0], case))[:SHOWN_CASES]
    texts = [tuple("-" if np.isnan(value) else f"{value:.3f}" for value in figures[case]) for case in ranked]
    more = f"{len(figures)} cases" + (", the lowest are shown" if len(figures) > SHOWN_CASES else "")
    return (
        ("case", *(HEADINGS[metric] for metric in metrics)),
        *((case, *text) for case, text in zip(ranked, texts, strict=True)),
        (more, *[""] * len(metrics)),
    )


def _read(path: Path, case: str, options: ImageDatasetOptions) -> Mask:
    try:
        return read_mask(path, case, options)
    except DataError as error:
        hint = (error.hint or "") if "dataset." not in (error.hint or "") else _HINT
        raise DataError(str(error), hint=hint) from None


def _grid(shape: tuple[int, ...], spacing: tuple[float, ...]) -> Grid:
    """The grid of a file that nothing was prepared of."""
    axes = tuple(range(len(shape)))
    return Grid(shape, spacing, shape, spacing, axes, (1.0,) * len(shape), (0.0,) * len(shape))
