"""Scans with sheared axes, as of a CT with a tilted gantry, brought to axes at right angles, and answers back."""

from dataclasses import replace

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from medvid.data.volumes.affines import closest_ras, displacement
from medvid.data.volumes.formats.format import Geometry, Volume

_SHEAR = 0.1  # voxels by which a corner may move before a scan counts as sheared
_AROUND = "grid-constant"  # up to half a voxel around it, a place still belongs to a scan


def straight_place(geometry: Geometry) -> Geometry:
    """The smallest grid at right angles that has all voxels of a scan; its own if it is not sheared.

    Planes of slices stay as they are, in their voxel size and their distance from each other.
    """
    order = closest_ras(geometry.affine)[:, 0].argsort()
    directions, triangle = np.linalg.qr(geometry.affine[:3, order])
    affine = geometry.affine.copy()
    affine[:3, order] = directions * triangle.diagonal()  # Gram and Schmidt's, whose steps point as the file's do
    if displacement(geometry.affine, affine, geometry.shape) <= _SHEAR:
        return geometry
    corners = np.stack(np.meshgrid(*((0, length - 1) for length in geometry.shape), indexing="ij"), axis=-1)
    places = apply_affine(np.linalg.solve(affine, geometry.affine), corners).reshape(-1, 3)
    first, last = np.floor(places.min(axis=0) + _SHEAR / 2), np.ceil(places.max(axis=0) - _SHEAR / 2)
    affine[:3, 3] = apply_affine(affine, first)
    return replace(geometry, affine=affine, shape=tuple(int(length) for length in last - first + 1))


def straighten_image(image: Volume) -> Volume:
    """The values of a scan on `straight_place`, interpolated linearly; around it its lowest value."""
    place = straight_place(image.geometry)
    if place is image.geometry:
        return image
    between = _between(place, image.geometry)
    channels = [
        ndimage.affine_transform(
            channel.astype(np.float32), *between, place.shape, order=1, mode=_AROUND, cval=float(channel.min())
        )
        for channel in np.moveaxis(image.channels_last, 3, 0)
    ]
    data = channels[0] if image.data.ndim == 3 else np.stack(channels, axis=3)
    note = "has sheared axes, and is resampled to axes at right angles (dataset.straighten)"
    return replace(image, data=data, geometry=place, notes=(*image.notes, note))


def straighten_labels(label_map: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The labels of the nearest voxels of a scan on `straight_place`; around it 0."""
    return _nearest(label_map, geometry, straight_place(geometry))


def back_on_file(label_map: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A label map on `straight_place` of a scan on the grid of its file, by the nearest voxels."""
    return _nearest(label_map, straight_place(geometry), geometry)


def _nearest(label_map: np.ndarray, source: Geometry, target: Geometry) -> np.ndarray:
    if source is target:
        return label_map
    return np.asarray(
        ndimage.affine_transform(label_map, *_between(target, source), target.shape, order=0, mode=_AROUND)
    )


def _between(target: Geometry, source: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset from indices of the target to those of the source."""
    matrix = np.linalg.solve(source.affine, target.affine)
    return matrix[:3, :3], matrix[:3, 3]
