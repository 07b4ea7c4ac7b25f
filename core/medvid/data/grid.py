"""How a prepared array lies on the grid of the file it came from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """An axis-aligned relation between a file's array (native) and the prepared array a model sees.

    Preparation permutes and flips axes, changes the spacing and crops; so each prepared axis p runs along one
    native axis, and the native index i has the prepared coordinate ``scale[p] * i + offset[p]`` on it (in voxels,
    voxel centres at integers; a negative scale is a flip).

    Args:
        native_shape: spatial shape of the file's array.
        native_spacing: voxel size of the file on each native axis, in mm (1 where the format has none).
        prepared_shape: spatial shape of the prepared array.
        prepared_spacing: voxel size on each prepared axis, in mm.
        axes: for each prepared axis, the native axis that runs along it.
        scale: for each prepared axis, prepared voxels per native voxel, signed.
        offset: for each prepared axis, the prepared coordinate of native index 0.
        nearest_axes: prepared axes along which scores are not interpolated, but those of the nearest voxel count.
    """

    native_shape: tuple[int, ...]
    native_spacing: tuple[float, ...]
    prepared_shape: tuple[int, ...]
    prepared_spacing: tuple[float, ...]
    axes: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    nearest_axes: tuple[int, ...] = ()
