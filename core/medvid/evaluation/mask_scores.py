"""Masks scored against masks, whoever made them: the figures of the closing evaluation without a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import ValidationError

from medvid.data.dataset import SegmentationCase
from medvid.data.grid import Grid
from medvid.data.images.masks import Mask, read_mask, unite
from medvid.data.images.options import ImageDatasetOptions
from medvid.data.problems import raise_together
from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import Formats, shipped_formats
from medvid.data.volumes.labels import BACKGROUND, LabelScheme, same_label
from medvid.data.volumes.truth import truth_of
from medvid.errors import ConfigError, DataError
from medvid.evaluation.evaluator import Summary
from medvid.evaluation.mask_pairs import MaskPair
from medvid.evaluation.mask_palettes import MaskPalettes
from medvid.evaluation.metrics.aggregate import headline, mean, per_label, state_notes, undefined_notes, unknown_notes
from medvid.evaluation.metrics.figure import Figure, definitions, directions, occurring
from medvid.evaluation.metrics.label_table import label_table
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.plugin.events import Table
from medvid.plugin.specs import Axes

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
    axes: Axes
    grid: Grid
    truth: np.ndarray

    def native_truth(self) -> np.ndarray:
        """Label ids on the grid of the file."""
        return self.truth


@dataclass(frozen=True, slots=True)
class MaskScores:
    """How masks are read and scored.

    Args:
        scheme: what the ids in masks stand for; in images classes alone.
        protocol: the figures, on the grid of files.
        name: of the protocol.
        mask_values: how masks that are images are read, see `ImageDatasetOptions`; default: binary for two labels,
            else indexed.
        ignore: the value of pixels in true masks that nobody annotated, likewise.
        formats: what volumes are read by; default: those that medvid ships.

    Raises:
        ConfigError: the protocol scores on a model's grid, or `ignore` is one of the labels.
    """

    scheme: LabelScheme
    protocol: LabelMapProtocol
    name: str = "medvid"
    mask_values: str | None = None
    ignore: int | None = None
    formats: Formats = field(default_factory=shipped_formats)

    def __post_init__(self) -> None:
        if self.protocol.grid != "native":
            raise ConfigError(
                f"masks cannot be scored by the protocol {self.name!r}: it is not one on the grid of files",
                hint="give another one, such as medvid; this one scores on the grid of a model, by platform evaluate",
            )
        try:
            self._image_options(self.ignore)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(f"masks cannot be read so: {reason}", hint=_HINT) from None

    @property
    def labels(self) -> tuple[str, ...]:
        """Their names."""
        return self.scheme.names

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
                    rows += self.protocol.rows(cast(SegmentationCase, case), prediction, self.labels, final=True)
            progress(done, len(pairs))
        raise_together([*errors, *palettes.errors()], f"of {len(pairs)} cases cannot be scored")
        return rows

    def summarise(self, rows: Sequence[dict[str, Any]]) -> Summary:
        """Figures, table and what has to be said of them, as of an evaluation."""
        shown = occurring(self.protocol.figures, rows[0])
        summaries = per_label(rows, [figure.column for figure in shown])
        figures = headline(summaries)
        first = BACKGROUND if self.scheme.regions else self.labels[0]
        left_out = BACKGROUND if same_label(first) == BACKGROUND else f"{first!r} (id 0) taken for the background and"
        protocol = f" (figures of protocol {self.name})" if self.name != "medvid" else ""
        notes = [
            f"masks are compared on the grid of their files{protocol}; means are over cases, then over labels, "
            f"{left_out} left out",
            *definitions(shown),
            *state_notes(summaries, self.protocol.empty),
            *undefined_notes(figures),
            *unknown_notes(rows),
        ]
        return Summary(
            metrics=figures, table=label_table(summaries, shown), notes=tuple(notes), better=directions(shown)
        )

    def _image_options(self, ignore: int | None = None) -> ImageDatasetOptions:
        values = self.mask_values or ("binary" if len(self.labels) == 2 else "indexed")
        return ImageDatasetOptions.model_validate(
            {"name": "masks", "root": Path(), "labels": self.labels, "mask_values": values, "ignore": ignore}
        )

    def _volumes(self, pair: MaskPair) -> tuple[MaskCase, np.ndarray]:
        scheme, names = self.scheme, self.scheme.names_of_ids
        truth = reading.read_labels(self.formats, pair.truth, pair.case, scheme.ids, names)
        read = reading.read_labels(
            self.formats, pair.prediction, pair.case, scheme.known, names[: scheme.known], truth.geometry
        )
        try:
            prediction = reading.align(truth, read, pair.case, "prediction")
        except DataError as error:
            raise DataError(f"{str(error).replace('image', 'truth')} ({pair.prediction})", hint=error.hint) from None
        grid, answered = _grid(truth.data.shape, truth.geometry.spacing), replace(scheme, ignore=None)
        case = MaskCase(pair.case, "volume", grid, truth_of(truth.data, scheme))
        return case, truth_of(prediction.data, answered)

    def _images(self, pair: MaskPair, palettes: MaskPalettes) -> tuple[MaskCase, np.ndarray]:
        options, annotated = self._image_options(), self._image_options(self.ignore)
        if pair.further and options.mask_values == "indexed":
            names = ", ".join(path.name for path in (pair.truth, *pair.further))
            raise DataError(
                f"case {pair.case} has several true masks: {names}",
                hint="unite them, or give --mask-values binary, where each is a part of the foreground",
            )
        truths = [_read(path, pair.case, annotated) for path in (pair.truth, *pair.further)]
        read = _read(pair.prediction, pair.case, options)
        palettes.add(pair, truths[0], read)
        if len({mask.labels.shape for mask in truths}) > 1:
            raise DataError(f"case {pair.case}: its true masks differ in size: {pair.truth} and those numbered like it")
        truth, prediction = unite([mask.labels for mask in truths]), read.labels
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


def case_table(rows: Sequence[dict[str, Any]], protocol: LabelMapProtocol) -> Table:
    """The mean over labels of each figure, case by case, the lowest Dice first; at most `SHOWN_CASES`."""
    by_case: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_case.setdefault(row["case"], []).append(row)
    shown = occurring(protocol.figures, rows[0])
    figures = {case: [mean(row[figure.column] for row in own) for figure in shown] for case, own in by_case.items()}
    ranked = sorted(figures, key=lambda case: (figures[case][0], case))[:SHOWN_CASES]
    texts = [tuple(map(Figure.text, shown, figures[case])) for case in ranked]
    more = f"{len(figures)} cases" + (", the lowest are shown" if len(figures) > SHOWN_CASES else "")
    return (
        ("case", *(figure.heading for figure in shown)),
        *((case, *text) for case, text in zip(ranked, texts, strict=True)),
        (more, *[""] * len(shown)),
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
