"""Where training patches lie, as nnU-Net draws them: some around a voxel of a class, the others anywhere.

Patches run over the rim of the volume. Of one that is cut larger than it will be (`larger`) the final part alone lies
within, as far as the volume is long enough.
"""

from collections.abc import Sequence

import numpy as np

from medvid.data.volumes.locations import Locations

Corner = tuple[int, ...]


def count_forced(share: float, patches: int, random: np.random.RandomState) -> int:
    """How many of the patches of a draw are forced: their share, a fraction of a patch as often as that says."""
    return int(np.floor(share * patches + random.random_sample()))


def forced_share(batch_size: int) -> float:
    """The share of forced patches in nnU-Net's batches, which is a third, rounded to whole patches."""
    return 1 - round(0.67 * batch_size) / batch_size


def draw_corner(
    shape: Sequence[int],
    size: Sequence[int],
    larger: Sequence[int],
    locations: Sequence[np.ndarray],
    random: np.random.RandomState,
) -> Corner:
    """Draw the lower corner of a patch, which may lie outside of the volume.

    Args:
        shape: of the volume.
        size: of the patch in the end.
        larger: of what is cut, at least `size`.
        locations: voxels as flat indices, in sets, each of which is as likely as any other: the patch is centred on
            one of them. Without sets, it lies anywhere.
        random: the only source of randomness.
    """
    lowest, highest = corner_range(shape, size, larger)
    if not locations:
        return tuple(int(random.randint(low, high + 1)) for low, high in zip(lowest, highest, strict=True))
    voxels = locations[random.randint(len(locations))]
    centre = np.unravel_index(int(voxels[random.randint(len(voxels))]), tuple(shape))
    return tuple(max(low, int(c) - n // 2) for low, c, n in zip(lowest, centre, larger, strict=True))


def corner_range(shape: Sequence[int], size: Sequence[int], larger: Sequence[int]) -> tuple[Corner, Corner]:
    """The lowest and the highest corner of a patch that is not forced; both included."""
    pads = [max(n - final, n - length) for length, final, n in zip(shape, size, larger, strict=True)]
    lowest = tuple(-pad // 2 for pad in pads)
    highest = tuple(length + pad // 2 + pad % 2 - n for length, pad, n in zip(shape, pads, larger, strict=True))
    return lowest, highest


def sets_of(locations: Locations, *, is_forced: bool) -> list[np.ndarray]:
    """The sets of voxels that a patch is centred on one of: the classes' if it is forced, else all that is annotated.

    It is empty, for patches that lie anywhere, where no class is present or all is annotated.
    """
    if is_forced and locations.structures:
        return list(locations.structures.values())
    annotated = locations.annotated
    return [annotated] if annotated is not None and len(annotated) else []
