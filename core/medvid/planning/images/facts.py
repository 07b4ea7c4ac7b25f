"""What the files of segmented images are like: sizes, channels, bits, and how masks say what is where."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.images.files import open_picture
from medvid.data.images.index import ImageFiles
from medvid.digests import digest_of_files
from medvid.errors import DataError
from medvid.planning.survey import kept, load_values, look_at_all, write_values

_VERSION = 1
"""Increase this when facts of older code must no longer be used."""
_MOST_IDS = 64
_GRAY_MODES = {"1", "L", "LA", "La", "I", "I;16", "F"}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image with its masks.

    Args:
        size: height and width.
        bits: of a pixel and channel.
        coloured: whether it has colours.
        lowest: of its values.
        highest: likewise.
        mean: likewise.
        values: pixels of each value of its masks; None where masks have colours.
    """

    size: tuple[int, int]
    bits: int
    coloured: bool
    lowest: float
    highest: float
    mean: float
    values: Mapping[int, int] | None


def look_at_images(cases: Sequence[ImageFiles], cache: Path, progress: Progress) -> list[ImageFacts]:
    """The facts of all images.

    Args:
        cases: with masks.
        cache: folder in which facts are kept.
        progress: called with (done, total).

    Raises:
        DataError: files cannot be read; all of them are named.
        ResourceError: the cache cannot be written to, or a process died.
    """
    files = {each.id: each for each in cases}
    return look_at_all(partial(_look_up, files=files, cache=cache), [*files], progress)


def _look_up(case: str, files: Mapping[str, ImageFiles], cache: Path) -> ImageFacts:
    found = files[case]
    try:
        content = digest_of_files([found.image, *found.masks])
    except OSError as error:
        raise DataError(f"case {case}: {error.filename} cannot be read: {error.strerror}") from error
    return kept(cache, ["image", _VERSION, content], _load, partial(read_facts, found), _write)


def read_facts(files: ImageFiles) -> ImageFacts:
    """Read an image and its masks.

    Raises:
        DataError: a file cannot be read.
    """
    picture = open_picture(files.image, files.id)
    is_coloured = picture.image.mode not in _GRAY_MODES
    pixels = np.asarray(picture.image.convert("RGB") if is_coloured else picture.image)
    height, width = pixels.shape[:2]
    values: Counter[int] | None = Counter()
    for mask in files.masks:
        found = _values(mask, files.id)
        values = None if values is None or found is None else values + Counter(found)
    counts = None if values is None else dict(values)
    low, high, mean = (float(found) for found in (pixels.min(), pixels.max(), pixels.mean()))
    return ImageFacts((height, width), picture.bits, is_coloured, low, high, mean, counts)


def median_size(facts: Sequence[ImageFacts]) -> list[float]:
    """Height and width, each the median."""
    median: list[float] = np.median([each.size for each in facts], 0).tolist()
    return median


def mask_values(facts: Sequence[ImageFacts]) -> Counter[int]:
    """Pixels of each value in all masks; none where any mask has colours."""
    if any(each.values is None for each in facts):
        return Counter()
    total: Counter[int] = Counter()
    for each in facts:
        total.update(each.values or {})
    return total


def _values(mask: Path, case: str) -> dict[int, int] | None:
    """How many pixels have each gray value or palette index; None of a mask with colours."""
    array = np.asarray(open_picture(mask, case).image)
    if array.ndim == 3:
        if (array[..., :1] != array[..., :3]).any():
            return None
        array = array[..., 0]
    values, counts = np.unique(array.astype(np.int64), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _load(folder: Path) -> ImageFacts:
    plain = load_values(folder)
    values = plain.pop("values")
    height, width = plain.pop("size")
    counts = None if values is None else {int(value): count for value, count in values.items()}
    return ImageFacts(size=(height, width), values=counts, **plain)


def _write(facts: ImageFacts, folder: Path) -> None:
    write_values(asdict(facts), folder)


def mask_options(facts: Sequence[ImageFacts]) -> tuple[dict[str, Any], str]:
    """How masks are to be read, and the reason; no options where they are the usual black and white.

    Raises:
        DataError: they have colours, or more values than labels are likely to be.
    """
    values = tuple(sorted(mask_values(facts)))
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
