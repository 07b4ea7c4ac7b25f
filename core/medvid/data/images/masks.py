"""Masks as files: what their colours, values or palette indices mean.

An ambiguous mask is refused, with the option that decides how to read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from medvid.data.images.files import Picture, open_picture
from medvid.data.images.options import WHITE, Colour, MaskOptions
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.sentences import listed

NOISE = 15
"""Up to this value, out of 255, a pixel can be black changed by JPEG compression."""
EDGE = 12
"""Within this many pixels of both black and white, a value between is an edge: a JPEG block and a soft border."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask, turned upright by its own EXIF orientation.

    Args:
        labels: (H, W) label ids: uint8, or int16 with `UNKNOWN` where some pixels may be ignored.
        orientation: the EXIF orientation that it is stored in.
        edges: number of pixels of a binary mask that are neither black nor white.
        palette: of an indexed mask with a palette, the colour of each index.
    """

    labels: np.ndarray
    orientation: int = 1
    edges: int = 0
    palette: Mapping[int, Colour] = field(default_factory=dict)


def read_mask(path: Path, case: str, options: MaskOptions, *, checked: bool = False) -> Mask:
    """Read a mask as label ids, according to ``mask_values``.

    Args:
        path: the file.
        case: the case that the error names.
        options: of the data set.
        checked: whether the file was read before and is unchanged, so that its edges need no second check.

    Raises:
        DataError: as `open_picture`; or the mask has values or colours whose meaning the options do not give.
    """
    picture = open_picture(path, case)
    reader = _Reader(picture, f"case {case}: mask {path}", options)
    if options.mask_values == "binary":
        labels, edges = reader.binary(checked=checked)
        return Mask(labels, picture.orientation, edges)
    if options.mask_values == "nonzero":
        return Mask(reader.nonzero(), picture.orientation)
    if options.mask_values == "colours":
        return Mask(reader.by_colour(), picture.orientation)
    return Mask(reader.ids(), picture.orientation, palette=reader.palette())


def unite(masks: Sequence[np.ndarray]) -> np.ndarray:
    """The labels of masks (H, W) that each hold a part: what one of them has counts, also where another is unknown."""
    highest, lowest = np.max(masks, axis=0), np.min(masks, axis=0)
    return np.asarray(np.where(highest == 0, lowest, highest))


@dataclass(frozen=True, slots=True)
class _Reader:
    """One mask, and the ways to read it.

    Args:
        picture: decoded.
        name: case and file, for errors.
        options: of the data set.
    """

    picture: Picture
    name: str
    options: MaskOptions

    def binary(self, *, checked: bool) -> tuple[np.ndarray, int]:
        """Label ids by brightness, and the number of pixels that are neither black nor white."""
        colours, unit = self._colours(), self._unit()
        darkest, brightest = colours.min(axis=2), colours.max(axis=2)
        ignored = self._ignored(colours)
        black = (brightest <= (NOISE if self.picture.lossy else 0)) & (darkest >= 0)
        white = darkest >= WHITE * unit
        between = ~(black | white | ignored)
        foreground = _brightness(colours) > self.options.mask_threshold * unit
        if self.options.threshold is None:
            if not checked and between.any():
                self._check_edges(colours, black, white, between)
        elif not (black | ignored).all() and not foreground.any():
            raise DataError(
                f"{self.name} has values up to {brightest.max() / unit:g} of 255, none above the threshold "
                f"{self.options.threshold}",
                hint="lower dataset.threshold; or set dataset.mask_values: indexed, if the values are label ids",
            )
        return self._with_unknown(foreground, ignored), int(between.sum())

    def nonzero(self) -> np.ndarray:
        """Label 1 for all that is not black."""
        self._refuse_lossy()
        colours = self._colours()
        if colours.min() < 0:
            raise DataError(
                f"{self.name} has values below 0, down to {colours.min():g}",
                hint="write 0 for the background, and a positive number for each instance",
            )
        foreground: np.ndarray = colours.max(axis=2) > 0
        if self.picture.image.mode == "P" and ((np.asarray(self.picture.image) > 0) != foreground).any():
            raise DataError(
                f"{self.name} has a palette in which nonzero indices and non-black colours are different pixels",
                hint="set dataset.mask_values: colours, and the colour of each label in dataset.mask_colours",
            )
        return self._with_unknown(foreground, self._ignored(colours))

    def by_colour(self) -> np.ndarray:
        """Label ids from the colours in ``mask_colours``."""
        self._refuse_lossy()
        assert self.options.mask_colours is not None, "validated"
        colours = self._colours()
        codes, ignored = _codes(colours), self._ignored(colours)
        labels, known = np.full(codes.shape, 255, np.uint8), ignored
        for label, colour in enumerate(self.options.mask_colours[name] for name in self.options.labels):
            same = codes == _codes(np.array([[colour]]))
            labels[same], known = label, known | same
        if not known.all():
            raise DataError(
                f"{self.name} has colours that dataset.mask_colours does not name: {_counted(codes[~known])}",
                hint="name all of them, or correct the mask; dataset.ignore is the colour of what nobody annotated",
            )
        return self._with_unknown(labels, ignored)

    def ids(self) -> np.ndarray:
        """Gray values or palette indices as label ids."""
        self._refuse_lossy()
        image, count = self.picture.image, len(self.options.labels)
        if image.mode == "P":
            values = np.asarray(image)
            self._refuse_gray_palette(values)
        else:
            values = self._gray()
        ids, counts = np.unique(values, return_counts=True)
        strange = ((ids < 0) | (ids >= count) | (ids != np.floor(ids))) & (ids != self.options.ignore)
        if strange.any():
            pairs = zip(ids[strange][:_SHOWN], counts[strange], strict=False)
            found = listed([f"{value:g} ({number} px)" for value, number in pairs], of=int(strange.sum()))
            raise DataError(
                f"{self.name} has the values {found}; the data set declares the labels 0..{count - 1}",
                hint="correct the mask, name all dataset.labels, set dataset.ignore to the value of pixels that nobody "
                "annotated, or dataset.mask_values: binary, nonzero or colours",
            )
        return self._with_unknown(values, values == self.options.ignore)

    def palette(self) -> dict[int, Colour]:
        """The colour of each palette index; empty without a palette."""
        return dict(enumerate(_palette(self.picture.image))) if self.picture.image.mode == "P" else {}

    def _ignored(self, colours: np.ndarray) -> np.ndarray:
        """Where the mask has the gray value or the colour of ``ignore``, (H, W)."""
        if self.options.ignore is None:
            return np.zeros(colours.shape[:2], bool)
        if self.picture.lossy:
            raise DataError(
                f"{self.name} is a JPEG, which changes values, so none of them can be dataset.ignore",
                hint="export it as PNG from the source",
            )
        return np.asarray(_codes(colours) == _codes(np.array(self.options.ignore).reshape(1, 1, -1)))

    def _with_unknown(self, labels: np.ndarray, ignored: np.ndarray) -> np.ndarray:
        if self.options.ignore is None:
            return labels.astype(np.uint8)
        return np.where(ignored, np.int16(UNKNOWN), labels.astype(np.int16))

    def _check_edges(self, colours: np.ndarray, black: np.ndarray, white: np.ndarray, between: np.ndarray) -> None:
        """Refuse pixels that are neither black nor white, except where one blurs into the other."""
        around = 2 * EDGE + 1
        edge = ndimage.maximum_filter(black, around) & ndimage.maximum_filter(white, around)
        edge &= ~_flat(colours) | (colours.max(axis=2) <= NOISE * self._unit())
        if (stray := between & ~edge).any():
            raise DataError(
                f"{self.name} is neither black nor white in {stray.sum()} pixels: {_counted(_codes(colours[stray]))}",
                hint="say what they mean with dataset.mask_values: nonzero (everything but black is foreground, such "
                "as numbered instances), indexed (values are label ids) or colours; or set dataset.threshold: 127 (the "
                "brightest value that is background)",
            )

    def _refuse_lossy(self) -> None:
        if self.picture.lossy:
            raise DataError(
                f"{self.name} is a JPEG, which changes values, so they cannot be {self.options.mask_values}",
                hint="export it as PNG from the source; if it is black and white, set dataset.mask_values: binary",
            )

    def _refuse_gray_palette(self, indices: np.ndarray) -> None:
        """Refuse a palette of grays whose values are label ids too, but not the same as the indices."""
        indices = indices[indices != self.options.ignore]
        values = np.array(_palette(self.picture.image))[indices]
        gray = len(indices) and (values == values[..., :1]).all() and values.max() < len(self.options.labels)
        if gray and (values[..., 0] != indices).any():
            raise DataError(
                f"{self.name} has a palette of grays in which gray values and indices are different label ids",
                hint="store it without a palette, or set dataset.mask_values: colours and dataset.mask_colours",
            )

    def _gray(self) -> np.ndarray:
        """Values as they are stored (H, W)."""
        if self.picture.image.mode in {"I", "F"} or self.picture.image.mode.startswith("I;16"):
            return np.asarray(self.picture.image)
        colours = self._colours()
        if (colours != colours[..., :1]).any():
            raise DataError(
                f"{self.name} is a colour image, from which label ids cannot be read",
                hint="set dataset.mask_values: colours and dataset.mask_colours, store label ids as gray values or "
                "palette indices, or set dataset.mask_values: binary",
            )
        bits = self.picture.bits if "P" not in self.picture.image.mode else 8
        return colours[..., 0] // (255 // (2**bits - 1)) if bits < 8 else colours[..., 0]

    def _unit(self) -> int:
        """The stored value of 1 out of 255."""
        return 257 if self.picture.image.mode.startswith("I;16") else 1

    def _colours(self) -> np.ndarray:
        """Red, green and blue (H, W, 3), or gray (H, W, 1), in multiples of `_unit`; transparent pixels are black."""
        image = self.picture.image
        if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
            values = np.asarray(image)
            if not np.isfinite(values).all():
                raise DataError(f"{self.name} has values that are NaN or infinite", hint="replace them, e.g. by 0")
            return values[..., None]
        if not image.has_transparency_data:
            return (
                np.asarray(image.convert("L"))[..., None]
                if image.mode in {"1", "L"}
                else np.asarray(image.convert("RGB"))
            )
        array = np.asarray(image.convert("RGBA"))
        colours, alpha = array[..., :3], array[..., 3]
        hidden, constant = alpha < 255, alpha.min() == alpha.max() > 0
        if not constant and (colours[hidden].any() or (hidden.any() and not hidden.all() and not colours.any())):
            raise DataError(
                f"{self.name} has transparent pixels, which change its meaning",
                hint="store the mask without transparency; ImageMagick: convert IN -alpha extract OUT makes a mask "
                "of the transparency, and convert IN -background black -flatten OUT puts the mask on black",
            )
        return colours


def _brightness(colours: np.ndarray) -> np.ndarray:
    if (colours == colours[..., :1]).all():
        return colours[..., 0]
    return np.asarray(Image.fromarray(colours).convert("L"))


def _flat(colours: np.ndarray) -> np.ndarray:
    """Where a pixel and its neighbours have one colour (H, W), which rules out edges, however soft."""
    highest, lowest = (each(colours, (3, 3, 1)) for each in (ndimage.maximum_filter, ndimage.minimum_filter))
    return np.asarray((highest == lowest).all(axis=2))


def _palette(image: Image.Image) -> list[Colour]:
    """Red, green and blue of all 256 indices, black for those that the file leaves out."""
    values = (image.getpalette("RGB") or [])[:768]
    values += [0] * (768 - len(values))
    return [(values[i], values[i + 1], values[i + 2]) for i in range(0, 768, 3)]


def _codes(colours: np.ndarray) -> np.ndarray:
    """One number per colour (..., 3) or gray (..., 1); the value itself for grays, which can exceed 255."""
    red, green, blue = np.moveaxis(np.broadcast_to(colours, (*colours.shape[:-1], 3)), -1, 0)
    gray = (red == green) & (green == blue)
    return np.asarray(np.where(gray, red, 2**24 + (red.astype(np.int64) * 256 + green) * 256 + blue))


def _counted(codes: np.ndarray) -> str:
    """The most frequent values or colours with their numbers of pixels."""
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return listed([f"{_value(values[i])} ({counts[i]} px)" for i in order[:_SHOWN]], of=len(values))


def _value(code: float) -> str:
    if code < 2**24:
        return f"{code:g}"
    number = int(code) - 2**24
    return f"[{number >> 16}, {number >> 8 & 255}, {number & 255}]"
