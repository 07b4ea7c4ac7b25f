"""What a picture of a case shows: a few upright slices of the image and its label maps, small enough to keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import ndimage

from medvid.data.grid import Grid
from medvid.evaluation.metrics.aggregate import mean
from medvid.files import replace_file
from medvid.plugin.specs import Axes

SLICES = 3
"""Slices along the slice axis that a picture shows, at most."""

LONGEST = 1024
"""Pixels along the longer side of a slice, at most; larger ones are thinned out."""

_PICTURE_AXES: dict[tuple[Axes, int], tuple[int, ...]] = {
    ("video", 3): (0, 1, 2),
    ("image", 3): (2, 0, 1),
    ("image", 2): (0, 1),
}
"""By axes and number of axes of a prepared array: those that become slices (not of an image), rows and columns."""

_VOLUME_PLANES = {
    "axial": ((2, 1, 0), ("R", "L", "A", "P"), SLICES),
    "coronal": ((1, 2, 0), ("R", "L", "S", "I"), 1),
    "sagittal": ((0, 2, 1), ("A", "P", "S", "I"), 1),
}
"""The RAS axes that become slices, rows and columns; what is at the left, right, top and bottom; how many are shown.

All axes are drawn against their direction: the radiological convention, and the face to the left in sagittal slices.
"""


@dataclass(frozen=True, slots=True)
class Plane:
    """A slice of a case, row 0 at the top.

    Args:
        image: (rows, columns) float32, in the units of the file; or with red, green and blue on a last axis.
        prediction: (rows, columns) label ids.
        truth: the same, `UNKNOWN` where nobody annotated; or None.
        name: how it lies in the body; empty for images.
        index: its number on the file's own axis; None for an image.
        pixel: height and width of a pixel, in mm or relative to each other.
        marks: letters for the directions at the left, right, top and bottom; empty for images.
    """

    image: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray | None
    name: str
    index: int | None
    pixel: tuple[float, float]
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Slices of one case.

    Args:
        case: id of the case.
        planes: the slices.
        window: the image values that are drawn darkest and brightest.
        dice: Dice of the whole case per label id, NaN where undefined; empty without truth.
    """

    case: str
    planes: tuple[Plane, ...]
    window: tuple[float, float]
    dice: tuple[float, ...]

    @property
    def colour(self) -> bool:
        """Whether the image has colours."""
        return self.planes[0].image.ndim == 3

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the labels that have one."""
        return mean(self.dice)

    def save(self, path: Path) -> None:
        """Write as a compressed .npz without pickled objects."""
        arrays: dict[str, Any] = {
            "case": np.array(self.case),
            "window": np.array(self.window),
            "dice": np.array(self.dice),
        }
        for number, plane in enumerate(self.planes):
            values = {
                "image": plane.image,
                "prediction": plane.prediction,
                "truth": plane.truth,
                "name": plane.name,
                "index": plane.index,
                "pixel": plane.pixel,
                "marks": "".join(plane.marks),
            }
            arrays |= {f"{number}/{key}": np.asarray(value) for key, value in values.items() if value is not None}
        with replace_file(path) as file:
            np.savez_compressed(file, **arrays)

    @staticmethod
    def load_mean_dice(path: Path) -> float:
        """Read only the mean Dice of what `save` wrote; -1 where no label has one."""
        with np.load(path) as file:
            return float(np.nan_to_num(mean(file["dice"].tolist()), nan=-1.0))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path) as file:
            count = sum(key.endswith("/image") for key in file)
            return cls(
                case=str(file["case"]),
                planes=tuple(_load_plane(file, str(number)) for number in range(count)),
                window=tuple(file["window"].tolist()),
                dice=tuple(file["dice"].tolist()),
            )


def make_picture(
    case: str,
    grid: Grid,
    axes: Axes,
    *,
    image: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray | None = None,
    dice: Sequence[float] = (),
    window: tuple[float, float] | None = None,
) -> Picture:
    """Choose slices and turn them upright.

    Of a volume, axial slices are shown, from head to feet, and the coronal and the sagittal slice through the largest
    extent of the labels, in the radiological convention: the patient's right is on the left of the picture. Images are
    shown as they are, also those of a stack.

    Args:
        case: id of the case.
        grid: how the file's axes lie to those of the prepared array, which are RAS+ in a volume.
        axes: of the prepared array, see `medvid.data.dataset.SegmentationCase.axes`.
        image: on the file's grid, as are prediction and truth; colours may be on a last axis.
        prediction: label ids.
        truth: label ids.
        dice: Dice of the whole case per label id, NaN where undefined.
        window: the image values to draw darkest and brightest; None: chosen by `display_window`.
    """
    planes: list[Plane] = []
    if axes == "volume":
        for name, (order, marks, count) in _VOLUME_PLANES.items():
            planes += _planes(grid, order, -1, image, prediction, truth, count, name, marks)
    else:
        planes += _planes(grid, _PICTURE_AXES[axes, len(grid.axes)], 1, image, prediction, truth, SLICES)
    return Picture(case, tuple(planes), window or display_window(planes), tuple(dice))


def choose_slices(labels: np.ndarray, count: int = SLICES) -> list[int]:
    """Find the slices (at most `count`) of (N, rows, columns) that together show every label at its largest.

    Greedy: each choice adds the most to what is already shown of the labels, a label counting as fully shown by the
    slice in which it is largest. The middle slice if there is no label.
    """
    highest = max(int(labels.max()), 0) + 1
    counted = (plane.ravel().clip(min=0) for plane in labels)  # below 0 it is not known what is there
    areas = np.stack([np.bincount(plane, minlength=highest)[1:] for plane in counted])  # (N, labels)
    shares = areas / np.maximum(areas.max(axis=0, initial=0), 1)
    hidden = np.ones(highest - 1)
    chosen: list[int] = []
    while len(chosen) < count and (gains := shares @ hidden).max(initial=0) > 0:
        best = int(gains.argmax())
        chosen.append(best)
        hidden *= 1 - shares[best]
        shares[best] = 0
    return sorted(chosen) or [len(labels) // 2]


def display_window(planes: Sequence[Plane]) -> tuple[float, float]:
    """Choose the image values to draw black and white, for contrast in and right around the labels.

    So soft tissue in a CT has contrast even with air and metal far outside, without knowledge of the modality.
    Without labels, the whole image counts. Colours span their whole range, so that they look as they do elsewhere.
    """
    if planes[0].image.ndim == 3:
        return 0.0, max(float(plane.image.max()) for plane in planes) or 1.0
    found = [_around(plane) for plane in planes]
    if not any(values.size for values in found):
        found = [plane.image.ravel() for plane in planes]
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, (5, 95)).tolist() if values.size else (0.0, 1.0)
    margin = (high - low) / 4
    if not margin:
        return low - 0.5, high + 0.5
    darkest = min(float(np.nanmin(plane.image, initial=np.inf)) for plane in planes)
    brightest = max(float(np.nanmax(plane.image, initial=-np.inf)) for plane in planes)
    return max(low - margin, darkest), min(high + margin, brightest)


def _planes(
    grid: Grid,
    order: tuple[int, ...],
    direction: int,
    image: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray | None,
    count: int,
    name: str = "",
    marks: tuple[str, ...] = (),
) -> list[Plane]:
    """Slices along the first of three prepared axes, or the only one of two; the others become rows and columns."""
    axes = [grid.axes[axis] for axis in order]
    signs = [grid.scale[axis] * direction for axis in order]

    def upright(array: np.ndarray) -> np.ndarray:
        others = range(len(axes), array.ndim)
        turned = array.transpose(*axes, *others)[tuple(slice(None, None, -1 if sign < 0 else 1) for sign in signs)]
        return turned if len(axes) == 3 else turned[None]

    labels = upright(prediction if truth is None else truth)
    step = -(-max(labels.shape[1:]) // LONGEST)
    *_, height, width = (grid.native_spacing[axis] for axis in axes)

    def picked(array: np.ndarray, index: int) -> np.ndarray:
        return np.ascontiguousarray(upright(array)[index, ::step, ::step])

    return [
        Plane(
            image=picked(image, index).astype(np.float32),
            prediction=picked(prediction, index),
            truth=None if truth is None else picked(truth, index),
            name=name,
            index=None if len(axes) < 3 else index if signs[0] > 0 else len(labels) - 1 - index,
            pixel=(height, width),
            marks=marks,
        )
        for index in choose_slices(labels, count)
    ]


def _around(plane: Plane) -> np.ndarray:
    labels = plane.prediction if plane.truth is None else plane.truth
    return np.asarray(plane.image[ndimage.maximum_filter(labels > 0, size=11)])


def _load_plane(file: "np.lib.npyio.NpzFile", number: str) -> Plane:
    values = {key.removeprefix(f"{number}/"): file[key] for key in file if key.startswith(f"{number}/")}
    return Plane(
        image=values["image"],
        prediction=values["prediction"],
        truth=values.get("truth"),
        name=str(values["name"]),
        index=int(values["index"]) if "index" in values else None,
        pixel=tuple(values["pixel"].tolist()),
        marks=tuple(str(values["marks"])),
    )
