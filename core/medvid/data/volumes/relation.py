"""How a prepared array lies on the grid of the file that it was made of."""

from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes

from medvid.data.grid import Grid
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import USUAL
from medvid.data.volumes.formats.format import Volume
from medvid.errors import DataError

_SHEAR = 0.1  # voxels by which a prepared axis may deviate from a native one over the whole volume


def relate(affine: np.ndarray, shape: tuple[int, ...], prepared: np.ndarray, prepared_shape: tuple[int, ...]) -> Grid:
    """Determine how a prepared array lies on the native one.

    Args:
        affine: (4, 4), native voxel indices to mm.
        shape: native shape.
        prepared: (4, 4), prepared voxel indices to mm.
        prepared_shape: prepared shape.

    Raises:
        ValueError: a prepared axis does not run along a native one, because the native axes are sheared.
    """
    matrix = np.linalg.solve(prepared, affine)  # native index -> prepared coordinate
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    axes = np.abs(linear).argmax(axis=1)
    stray = np.abs(linear)
    stray[range(3), axes] = 0
    if set(axes) != {0, 1, 2} or (stray @ shape).max() > _SHEAR:
        raise ValueError("its axes are sheared, not at right angles to each other")
    return Grid(
        native_shape=tuple(shape),
        native_spacing=tuple(voxel_sizes(affine).tolist()),
        prepared_shape=tuple(prepared_shape),
        prepared_spacing=tuple(voxel_sizes(prepared).tolist()),
        axes=tuple(axes.tolist()),
        scale=tuple(linear[range(3), axes].tolist()),
        offset=tuple(offset.tolist()),
    )


def relate_files(files: CaseFiles, scan: Volume, affine: np.ndarray, shape: tuple[int, ...]) -> Grid:
    """As `relate`, of a case's image.

    Raises:
        DataError: its axes are sheared.
    """
    try:
        return relate(scan.affine, scan.geometry.shape, affine, shape)
    except ValueError as error:
        is_nifti = scan.geometry.format == USUAL
        raise DataError(
            f"case {files.id}: {files.images[0]}: {error}, as of a CT with a tilted gantry",
            hint="set dataset.straighten: true, which resamples it when it is read; or resample it to axes at right "
            "angles, and its label map in the same way but without interpolation"
            + (f", which takes order=0 and cval=0:\n  {_straightening(files.images[0], scan)}" if is_nifti else ""),
        ) from None


def _straightening(path: Path, scan: Volume) -> str:
    """A command that resamples a scan with sheared axes to axes at right angles; its planes keep their distance."""
    axes = scan.affine[:3, closest_ras(scan.affine)[:, 0].argsort()]
    steps = np.abs(np.linalg.qr(axes)[1].diagonal()) / (scan.geometry.millimetres or 1.0)
    spacing = [round(step, 4) for step in steps.tolist()]
    target = path.with_name(f"straight_{path.name}")
    return (
        'python -c "import nibabel as nib, nibabel.processing as p; p.resample_to_output('
        f'nib.load({str(path)!r}), {spacing}, order=1, cval={scan.data.min():g}).to_filename({str(target)!r})"'
    )
