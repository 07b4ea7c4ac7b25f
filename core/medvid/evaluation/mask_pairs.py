"""Which mask is compared with which: by name, every file accounted for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medvid.data.images.index import SUFFIXES, mask_pattern
from medvid.data.listing import by_name, check_usable, find_files, name_left_out
from medvid.data.volumes.formats.choice import Formats
from medvid.errors import ConfigError, DataError
from medvid.sentences import listed


@dataclass(frozen=True, slots=True)
class MaskPair:
    """Two masks of one case.

    Args:
        case: its name, that of the truth's file.
        prediction: the file that is scored.
        truth: the file that it is compared with.
        is_volume: whether they are volumes; else images.
        further: images that hold further parts of the truth.
    """

    case: str
    prediction: Path
    truth: Path
    is_volume: bool = False
    further: tuple[Path, ...] = ()


def pair_masks(
    predictions: Path, truth: Path, formats: Formats, *, suffix: str = "", common: bool = False
) -> tuple[list[MaskPair], list[str]]:
    """Match two folders of masks, or two files.

    A prediction belongs to the truth of its name, with or without ``_mask`` at its end as medvid names those of images,
    or with ``label`` for ``img`` as in BTCV.

    Args:
        predictions: folder or file.
        truth: folder or file.
        formats: those of volumes.
        suffix: what the names of the truth's files have at their end beyond those of the cases, e.g. ``_anno``;
            images with a number behind it are further parts of the truth, as in BUSI's ``_mask_1``.
        common: score what both have, and say what one of them lacks; else that is refused.

    Returns:
        The pairs in the order of their names, and what has to be said of files that are not used.

    Raises:
        ConfigError: both are the same, or one is a file and the other a folder.
        DataError: a path is missing or holds no masks, masks of one case are missing, or names are ambiguous.
    """
    for path in (predictions, truth):
        if not path.exists():
            raise DataError(f"{path} does not exist")
    if predictions.samefile(truth):
        raise ConfigError(f"predictions and truth are the same: {truth}", hint="platform score PREDICTIONS TRUTH")
    if predictions.is_dir() != truth.is_dir():
        raise ConfigError("give two folders or two files", hint="platform score PREDICTIONS TRUTH")
    if truth.is_file():
        pair = MaskPair(_name(truth, formats), predictions, truth, _is_volume(truth, formats))
        _check_kind(pair, formats)
        return [pair], []
    theirs, further, left_out = _masks(truth, suffix, formats)
    volumes = _is_volume(next(iter(theirs.values())), formats)
    ours, _, also_left_out = _masks(predictions, "", formats, volumes=volumes)
    pairs, notes = _match(ours, theirs, predictions, truth, common, [*also_left_out, *left_out])
    pairs = [replace(pair, is_volume=volumes, further=further.get(pair.case, ())) for pair in pairs]
    united = [pair.case for pair in pairs if pair.further]
    return pairs, [*notes, *([f"the true masks of a case are united: {listed(united)}"] if united else [])]


def _match(
    ours: Mapping[str, Path],
    theirs: Mapping[str, Path],
    predictions: Path,
    truth: Path,
    common: bool,
    notes: list[str],
) -> tuple[list[MaskPair], list[str]]:
    found: dict[str, list[Path]] = {}
    alone = []
    for name, path in ours.items():
        names = [case for case in _names_of_truth(name) if case in theirs]
        if len(names) > 1:
            raise DataError(f"{path} may belong to {' or '.join(names)} in {truth}", hint="rename one of them")
        if names:
            found.setdefault(names[0], []).append(path)
        else:
            alone.append(path.name)
    if twice := [case for case, paths in found.items() if len(paths) > 1]:
        paths = listed([" and ".join(path.name for path in found[case]) for case in twice])
        raise DataError(f"{predictions} has several predictions of one case: {paths}", hint="take all but one out")
    lacking = [path.name for case, path in theirs.items() if case not in found]
    problems = [f"{len(lacking)} have no prediction: {listed(lacking)}"] if lacking else []
    problems += [f"{len(alone)} predictions have no truth: {listed(alone)}"] if alone else []
    if problems and not common:
        raise DataError(
            f"{predictions} and {truth} are not of the same cases; {'; '.join(problems)}",
            hint="complete them, or score what both have: --common; if the truth's names end in another way: --suffix",
        )
    if not found:
        raise DataError(f"no file in {predictions} has the name of one in {truth}", hint="see --suffix")
    said = [f"of {len(theirs)} cases {len(found)} are scored; {'; '.join(problems)}"] if problems else []
    return [MaskPair(case, found[case][0], theirs[case]) for case in theirs if case in found], [*said, *notes]


def _names_of_truth(name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((name, name.removesuffix("_mask"), name.replace("img", "label", 1))))


def _masks(
    folder: Path, suffix: str, formats: Formats, volumes: bool | None = None
) -> tuple[dict[str, Path], dict[str, tuple[Path, ...]], tuple[str, ...]]:
    """The masks of a folder by name, further parts of them, and what to say of its other files."""
    files = find_files(folder)
    here = [path for path in files if path.parent == folder]
    if volumes is None:
        volumes = any(_is_volume(path, formats) for path in here)
    masks = [path for path in here if (_is_volume(path, formats) if volumes else path.suffix.lower() in SUFFIXES)]
    named = [path for path in masks if _name(path, formats).endswith(suffix)]
    if not named:
        kind = f"volumes ({formats.names})" if volumes else f"images ({', '.join(SUFFIXES)})"
        raise DataError(f"{folder} holds no {kind}" + (f" whose names end in {suffix}" if suffix else ""))
    check_usable(folder, named)
    found = by_name(
        ((_name(path, formats).removesuffix(suffix), path) for path in named), "masks", "take all but one out"
    )
    further: dict[str, tuple[Path, ...]] = {}
    for path in masks if suffix and not volumes else ():
        part = mask_pattern(suffix).fullmatch(path.stem)
        if part and path not in named and part["image"] in found:
            further[part["image"]] = (*further.get(part["image"], ()), path)
    used = [*found.values(), *(path for paths in further.values() for path in paths)]
    return dict(sorted(found.items())), further, name_left_out(folder, files, used, _reason(folder, masks))


def _reason(folder: Path, masks: Iterable[Path]) -> Callable[[Path], str]:
    known = set(masks)

    def reason(path: Path) -> str:
        if path.parent != folder:
            return "as they are in a folder below it"
        return (
            "as their names do not end in --suffix" if path in known else "as they are of another kind than the masks"
        )

    return reason


def _name(path: Path, formats: Formats) -> str:
    return formats.stem(path) if _is_volume(path, formats) else path.stem


def _is_volume(path: Path, formats: Formats) -> bool:
    """Whether it is named like a volume, and not like an image."""
    return formats.is_volume(path) and path.suffix.lower() not in SUFFIXES


def _check_kind(pair: MaskPair, formats: Formats) -> None:
    for path in (pair.prediction, pair.truth):
        if not (_is_volume(path, formats) if pair.is_volume else path.suffix.lower() in SUFFIXES):
            raise DataError(f"{path} is not a mask of the kind that is compared: both volumes, or both images")
