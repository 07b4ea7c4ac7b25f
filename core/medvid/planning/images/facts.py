"""What the files of segmented images are like: sizes, channels, bits, and how masks say what is where."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.images.files import open_picture, read_head
from medvid.data.images.index import ImageFiles
from medvid.errors import DataError

_MOST_IDS = 64
_GRAY_MODES = {"1", "L", "LA", "La", "I", "I;16", "F"}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """All images of a data set.

    Args:
        sizes: (cases, 2), heights and widths.
        bits: of a pixel and channel.
        coloured: number of images with colours.
        values: of masks, ascending; empty where masks have colours.
    """

    sizes: np.ndarray
    bits: int
    coloured: int
    values: tuple[int, ...]


def look_at_images(cases: Sequence[ImageFiles], progress: Progress) -> ImageFacts:
    """Read the heads of images, and the masks.

    Raises:
        DataError: a file cannot be read.
    """
    sizes, bits, coloured, has_colours = [], 0, 0, False
    values: set[int] = set()
    for done, files in enumerate(cases, start=1):
        try:
            size, depth = read_head(files.image)
        except OSError as error:
            raise DataError(f"case {files.id}: {files.image} cannot be read: {error}") from error
        sizes.append(size)
        bits = max(bits, depth)
        picture = open_picture(files.image, files.id)
        coloured += picture.image.mode not in _GRAY_MODES
        for mask in files.masks:
            found = _values(mask, files.id)
            has_colours |= found is None
            values |= found or set()
        progress(done, len(cases))
    return ImageFacts(np.array(sizes), bits, coloured, () if has_colours else tuple(sorted(values)))


def _values(mask: Path, case: str) -> set[int] | None:
    """Gray values or palette indices; None of a mask with colours."""
    array = np.asarray(open_picture(mask, case).image)
    if array.ndim == 3:
        if (array[..., :1] != array[..., :3]).any():
            return None
        array = array[..., 0]
    return set(np.unique(array.astype(np.int64)).tolist())


def mask_options(facts: ImageFacts) -> tuple[dict[str, Any], str]:
    """How masks are to be read, and the reason; no options where they are the usual black and white.

    Raises:
        DataError: they have colours, or more values than labels are likely to be.
    """
    values = facts.values
    if not values or len(values) > _MOST_IDS:
        raise DataError(
            f"masks have {'colours' if not values else f'{len(values)} different values'}: which label is which is not "
            "known",
            hint="say it: --set dataset.mask_values=colours, dataset.labels=[...] and dataset.mask_colours={...}",
        )
    if set(values) <= {0, 255}:
        return {}, "masks are black and white"
    if values == tuple(range(max(values) + 1)) and len(values) > 1:
        labels = ["background", *(f"label_{number}" for number in values[1:])]
        return {
            "mask_values": "indexed",
            "labels": labels,
        }, f"masks have the ids 0 to {max(values)}; names are not known"
    if len(values) == 2 and values[0] == 0:
        return {"mask_values": "nonzero"}, f"masks have the values 0 and {values[1]}"
    return {}, f"masks have {len(values)} values, taken for black and white with soft edges"
