"""What an image data set logs about its files once all are read, including what no single file shows."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from medvid.data.images.case import Findings
from medvid.data.images.options import Colour, ImageDatasetOptions, Size2D
from medvid.data.images.scale import TrainingSizes
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)

BLACK = (0, 0, 0)
DARK = 0.25
"""Share of its type's range that the brightest 16-bit value has to reach; otherwise the images are nearly black."""


def check_palettes(
    findings: Mapping[str, Findings], known: Mapping[int, Colour]
) -> tuple[dict[str, DataError], dict[int, Colour]]:
    """Refuse masks whose palettes disagree on the colour of a label id, or in which black is not the background.

    An index that a mask does not use and that is black there was perhaps never given a colour.

    Args:
        findings: by case.
        known: the colour of each label id in earlier masks.

    Returns:
        What is wrong, by case, and the colours of all label ids that occur.
    """
    errors: dict[str, DataError] = {}
    colours = dict(known)
    first = dict.fromkeys(known, "the training masks")
    for case, finding in findings.items():
        used = {index: colour for index, colour in finding.palette.items() if finding.labels[index : index + 1].any()}
        given = {index: colour for index, colour in finding.palette.items() if index in used or colour != BLACK}
        problem = _disagreement(given, colours, first)
        if not problem and finding.palette and finding.palette[0] != BLACK and BLACK in used.values():
            problem = f"black is not the background, which is {list(finding.palette[0])}"
        if problem:
            errors[case] = DataError(
                f"case {case}: in the palette of its mask {problem}",
                hint="if the order of the palette is arbitrary, its indices are not label ids: set "
                "dataset.mask_values: colours, and the colour of each label in dataset.mask_colours",
            )
        else:
            colours |= used
            first = {**dict.fromkeys(used, case), **first}
    return errors, colours


def _disagreement(palette: Mapping[int, Colour], colours: Mapping[int, Colour], first: Mapping[int, str]) -> str:
    for index, colour in colours.items():
        if palette.get(index, colour) != colour:
            return f"{index} is {list(palette[index])}, but {list(colour)} in the palette of {first[index]}"
    return ""


def tell_findings(findings: Mapping[str, Findings], options: ImageDatasetOptions) -> None:
    """Log what is odd about the files, one line per kind, and each label's share of the masks."""
    remarks: dict[str, list[str]] = {}
    for case, finding in findings.items():
        for remark, amount in finding.remarks.items():
            remarks.setdefault(remark, []).append(f"{case} ({amount})" if amount else case)
    for remark, cases in remarks.items():
        log.warning("%d of %d cases: %s: %s", len(cases), len(findings), remark, listed(cases))
    brightest = max((finding.brightest for finding in findings.values()), default=1.0)
    if options.window is None and 0 < brightest < DARK:
        log.warning(
            "no image is brighter than %.1f %% of what its bits can hold, so all are nearly black; set the value of "
            "white, e.g. dataset.window: [0, %d]",
            100 * brightest,
            round(brightest * 65535),
        )
    if any(finding.labels.any() for finding in findings.values()):
        _tell_labels({case: finding.labels for case, finding in findings.items()}, options.labels)


def tell_palette(colours: Mapping[int, Colour], labels: Sequence[str]) -> None:
    """Log each label's colour in the palettes of the masks."""
    if colours:
        shown = ", ".join(f"{labels[index]} is {list(colour)}" for index, colour in sorted(colours.items()))
        log.info("palette indices are label ids: %s", shown)


def tell_sizes(sizes: Mapping[str, Size2D], options: ImageDatasetOptions, trained: TrainingSizes | None) -> None:
    """Log which images differ from the training images in size or shape, and what is done about it.

    Args:
        sizes: height and width of images, by case.
        options: of the data set.
        trained: sizes of the training images.
    """
    if options.size is None or not sizes:
        return
    to = _shown(options.size)
    if trained is None:
        log.warning("the sizes of the training images are unknown; all images are resized to %s", to)
        return
    others = {case: size for case, size in sizes.items() if not trained.cover(size)}
    if not others:
        return
    done = (
        f"they are resized to {to} like those, so the model has not seen their scale or shape in training, and results "
        "may be worse"
        if trained.mixed
        else f"they are resized by the same factor, and inferred in windows of {_shown(options.input_size)}"
    )
    names = listed([f"{case} ({_shown(size)})" for case, size in others.items()])
    level = logging.WARNING if trained.mixed else logging.INFO
    log.log(
        level,
        "%d of %d images differ in size from training images (%s): %s; %s",
        len(others),
        len(sizes),
        trained,
        names,
        done,
    )


def tell_training_sizes(trained: TrainingSizes, options: ImageDatasetOptions) -> None:
    """Log how training images of several sizes are treated, and images smaller than a crop."""
    if options.size is not None and trained.mixed:
        log.warning(
            "training images of %s pixels are all resized to %s, by factors of %.2g to %.2g across and %.2g to %.2g "
            "down; for a single scale set dataset.size: null and a dataset.crop",
            trained,
            _shown(options.size),
            options.size[1] / trained.width[2],
            options.size[1] / trained.width[0],
            options.size[0] / trained.height[2],
            options.size[0] / trained.height[0],
        )
    height, width = options.input_size
    if options.size is None and (height > trained.height[1] or width > trained.width[1]):
        log.warning(
            "dataset.crop %s is larger than most images (median %g x %g), which are padded with zeros",
            _shown(options.input_size),
            trained.width[1],
            trained.height[1],
        )


def _tell_labels(counts: Mapping[str, np.ndarray], labels: Sequence[str]) -> None:
    total = np.sum(list(counts.values()), axis=0)
    shares = ", ".join(f"{name} {100 * count / total.sum():.3g} %" for name, count in zip(labels, total, strict=True))
    empty = [case for case, count in counts.items() if count.any() and not count[1:].any()]
    full = [case for case, count in counts.items() if count.any() and not count[0]]
    log.info("masks of %d cases: %s of all annotated pixels", len(counts), shares)
    if empty:
        log.info("%d masks have background only: %s", len(empty), listed(empty))
    if full:
        log.warning("%d masks have no background: %s", len(full), listed(full))
    if absent := [name for name, count in zip(labels, total, strict=True) if not count]:
        log.warning("no mask of these cases has the labels %s", ", ".join(absent))


def _shown(size: Size2D) -> str:
    return f"{size[1]} x {size[0]}"
