"""Rules that the options of many transformers share, and the sentences that refuse what breaks them."""

from collections.abc import Sequence
from itertools import pairwise

from medvid.config.options import Options
from medvid.plugin.info import InputInfo

PerAxis = int | tuple[int, ...]
"""One number for all axes, or one for each."""


def check_multiple(options: Options, name: str, of: str) -> None:
    """Refuse lengths that are not multiples, axis by axis.

    Args:
        options: what is checked.
        name: of the option that has to be a multiple, e.g. img_size, hidden_size.
        of: of the one that has to divide it, e.g. patch_size, num_heads.

    Raises:
        ValueError: naming both, and the nearest sizes that work where there are several axes.
    """
    size, unit = getattr(options, name), getattr(options, of)
    if any(length % edge for length, edge in _axes(size, unit)):
        hint = "" if isinstance(size, int) else f"; {nearest(size, unit)}"
        raise ValueError(f"{name} {_shown(size)} is not a multiple of {of} {_shown(unit)}{hint}")


def check_taps(taps: Sequence[int], depth: int, name: str = "depth") -> None:
    """Refuse taps, the blocks that feature maps are taken from, that do not ascend or do not exist.

    Args:
        taps: the blocks, counted from 0.
        depth: number of blocks.
        name: of the option that says how many there are.

    Raises:
        ValueError: naming them and the number of blocks.
    """
    if any(late <= early for early, late in pairwise(taps)) or max(taps, default=0) >= depth:
        raise ValueError(f"taps {list(taps)} have to ascend and be below {name} ({depth}), counted from 0")


def check_size(info: InputInfo, img_size: tuple[int, ...], patch_size: int | None = None) -> None:
    """Refuse an input of another size than img_size, for those whose positions are of that size only.

    Args:
        info: the input.
        img_size: the option.
        patch_size: where given, the nearest sizes that divide into patches are named.

    Raises:
        ValueError: naming both sizes.
    """
    if info.size != img_size:
        hint = f": {nearest(info.size, patch_size)}" if patch_size else ""
        raise ValueError(
            f"img_size is {list(img_size)}, but the data set gives inputs of size {list(info.size)}; "
            f"make them equal{hint}"
        )


def check_tubelets(info: InputInfo, tubelet: tuple[int, ...]) -> None:
    """Refuse clips that do not divide into tubelets.

    Args:
        info: the clips.
        tubelet: frames, height and width of a tubelet.

    Raises:
        ValueError: naming the size and the nearest that work.
    """
    if any(length % edge for length, edge in _axes(info.size, tubelet)):
        raise ValueError(
            f"clips of size {list(info.size)} do not divide into tubelets of {list(tubelet)} (frames, height and "
            f"width); {nearest(info.size, tubelet)}"
        )


def nearest(size: tuple[int, ...], unit: PerAxis) -> str:
    """The nearest sizes in whole units, e.g. ``[496, 368] and [512, 384] work``; just one if `size` works itself."""
    below = [max(1, length // edge) * edge for length, edge in _axes(size, unit)]
    above = [-(-length // edge) * edge for length, edge in _axes(size, unit)]
    return f"{below} works" if below == above else f"{below} and {above} work"


def _axes(size: PerAxis, unit: PerAxis) -> list[tuple[int, int]]:
    """Length and unit of each axis."""
    rank = max(1 if isinstance(value, int) else len(value) for value in (size, unit))
    sizes, units = ((value,) * rank if isinstance(value, int) else value for value in (size, unit))
    return list(zip(sizes, units, strict=True))


def _shown(value: PerAxis) -> str:
    return f"({value})" if isinstance(value, int) else str(list(value))
