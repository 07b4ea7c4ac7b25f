"""Phantoms of the abdomen: CT scans that show no patient, and are not a substitute for real ones.

The 13 organs are ellipsoids and tubes at plausible places in a body that differs from case to case. Their intensities
overlap so much that only position and context distinguish them; a test bounds what intensity alone can do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

FIELD_OF_VIEW = (312.0, 250.0, 200.0)
"""Extent in mm for which the shapes below are given; they are scaled to the extent of the files."""

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """In mm from the centre of the field of view: x to the patient's right, y to the front, z to the head."""

    centre: Point
    radii: Point

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Approximate distance in mm of points (3, ...) from the surface, negative inside."""
        radii = _column(self.radii)
        scaled = (points - _column(self.centre)) / radii
        level = np.linalg.norm(scaled, axis=0)
        return level * (level - 1) / np.maximum(np.linalg.norm(scaled / radii, axis=0), 1e-9)

    def vary(self, random: np.random.Generator) -> "Ellipsoid":
        """A variant for another case: moved, and larger or smaller."""
        centre, radii = random.normal(self.centre, _MOVE), np.multiply(self.radii, random.uniform(0.9, 1.12, 3))
        return Ellipsoid(tuple(centre), tuple(radii))


@dataclass(frozen=True, slots=True)
class Tube:
    """Straight segments with one radius, in the same coordinates."""

    points: tuple[Point, ...]
    radius: float

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distance in mm of points (3, ...) from the surface, negative inside."""
        pieces = zip(self.points, self.points[1:], strict=False)
        return np.minimum.reduce([_distance_to_piece(points, *piece) for piece in pieces]) - self.radius

    def vary(self, random: np.random.Generator) -> "Tube":
        """A variant for another case: each point moved, and wider or narrower."""
        points = tuple(tuple(random.normal(point, _MOVE)) for point in self.points)
        return Tube(points, self.radius * random.uniform(0.95, 1.12))


@dataclass(frozen=True, slots=True)
class Organ:
    """A labelled organ: the union of its shapes, and its mean intensity in HU."""

    label: str
    intensity: float
    shapes: tuple[Ellipsoid | Tube, ...]


ORGANS = (
    Organ("liver", 95, (Ellipsoid((74, 16, 34), (54, 62, 58)), Ellipsoid((18, 44, 44), (62, 32, 34)))),
    Organ("stomach", 55, (Ellipsoid((-62, 26, 46), (34, 40, 36)), Ellipsoid((-36, 50, 14), (34, 20, 20)))),
    Organ("spleen", 105, (Ellipsoid((-104, -40, 34), (22, 40, 42)),)),
    Organ("right_kidney", 125, (Ellipsoid((60, -54, -40), (25, 25, 44)),)),
    Organ("left_kidney", 125, (Ellipsoid((-60, -54, -34), (25, 25, 44)),)),
    Organ("pancreas", 80, (Tube(((40, 16, -34), (12, 18, -16), (-34, 8, -8), (-74, -14, 0)), 13),)),
    Organ("portal_splenic_veins", 115, (Tube(((30, 0, 32), (12, 4, 14), (-34, -10, 22), (-76, -34, 34)), 9),)),
    Organ("inferior_vena_cava", 110, (Tube(((24, -28, -120), (26, -26, 120)), 13),)),
    Organ("aorta", 125, (Tube(((-14, -32, -120), (-12, -36, 120)), 12),)),
    Organ("esophagus", 60, (Tube(((-16, -8, 120), (-20, -2, 74), (-36, 12, 60)), 11),)),
    Organ("gallbladder", 35, (Ellipsoid((52, 56, -26), (20, 22, 26)),)),
    Organ("right_adrenal", 75, (Ellipsoid((50, -60, 34), (15, 18, 24)),)),
    Organ("left_adrenal", 75, (Ellipsoid((-48, -60, 40), (15, 18, 24)),)),
)
"""In drawing order: later organs cover earlier ones."""

_BODY = Ellipsoid((0, 0, 0), (148, 114, 1e4))
_WALL = Ellipsoid((0, 0, 0), (136, 100, 1e4))
_CAVITY = Ellipsoid((0, 2, 0), (126, 90, 1e4))
_SPINE = Tube(((0, -72, -200), (0, -72, 200)), 21)
_AIR, _FAT, _MUSCLE, _BONE = -1000.0, -95.0, 60.0, 320.0

_MOVE = 4.0  # mm, standard deviation of a shape's position
_PLANE = 4.0  # mm of fat between an organ and those drawn before it
_SHIFT = 25.0  # HU, standard deviation of an organ's mean between cases
_TEXTURE, _NOISE = 15.0, 28.0  # HU, standard deviation of the smooth texture, and of the noise per voxel


def draw_abdomen(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    labels: Sequence[str],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make one case, reproducible from the state of `random`.

    Args:
        shape: voxels, on the file's axes.
        spacing: voxel size in mm, give or take 5 %.
        labels: name of each label id, among them all names of `ORGANS`.
        random: the only source of randomness.

    Returns:
        Intensities in HU (X, Y, Z) int16, label ids (X, Y, Z) uint8, and the affine (4, 4).
    """
    affine = _affine(spacing, random)
    points = _body_coordinates(shape, spacing, affine, random)
    hounsfield = _draw_body(points, random)
    label_map = np.zeros(shape, np.uint8)
    cavity = _CAVITY.distance(points) < 0
    for organ in ORGANS:
        distance = np.minimum.reduce([part.vary(random).distance(points) for part in organ.shapes])
        plane, inside = (distance < _PLANE) & cavity, (distance < 0) & cavity
        hounsfield[plane], label_map[plane] = _FAT, 0
        hounsfield[inside], label_map[inside] = random.normal(organ.intensity, _SHIFT), labels.index(organ.label)
    hounsfield += _TEXTURE * _smooth(random, shape) + random.normal(0, _NOISE, shape)
    return np.clip(np.rint(hounsfield), -1024, 3071).astype(np.int16), label_map, affine


def _draw_body(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Everything but the organs: skin and fat, muscle, spine, and loops of bowel."""
    hounsfield = np.where(_BODY.distance(points) < 0, _FAT, _AIR)
    cavity = _CAVITY.distance(points) < 0
    hounsfield[(_WALL.distance(points) < 0) & ~cavity] = random.normal(_MUSCLE, _SHIFT)
    for _ in range(12):
        centre = random.uniform((-95, 0, -110), (95, 75, -35))
        loop = Ellipsoid(tuple(centre), tuple(random.uniform(12, 24, 3)))
        hounsfield[(loop.distance(points) < 0) & cavity] = random.normal(_MUSCLE, _SHIFT)
    hounsfield[_SPINE.distance(points) < 0] = _BONE
    return hounsfield


def _affine(spacing: Point, random: np.random.Generator) -> np.ndarray:
    """Axes to the left and to the front or back, slices upwards, as scanners write; spacing and origin vary."""
    in_plane, slices = random.uniform(0.95, 1.05, 2)
    signs = (-1, random.choice((-1, 1)), 1)
    affine = np.diag((*np.multiply(spacing, (in_plane, in_plane, slices)) * signs, 1.0))
    affine[:3, 3] = random.uniform(-200, 200, 3)
    return affine


def _body_coordinates(
    shape: tuple[int, int, int], spacing: Point, affine: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Position of each voxel (3, X, Y, Z) in the coordinates of the shapes: shifted, scaled and bent per case."""
    extent = np.multiply(shape, spacing)
    scale = np.multiply(FIELD_OF_VIEW / extent, random.uniform(0.94, 1.06, 3))
    index = np.indices(shape, dtype=np.float32) - _column((np.array(shape) - 1) / 2)
    points = index * _column(np.diag(affine)[:3] * scale) + _column(random.normal(0, 4, 3))
    waves = 2 * np.pi * points / random.uniform(120, 240, (3, 1, 1, 1)) + random.uniform(0, 2 * np.pi, (3, 1, 1, 1))
    return points + 4 * np.roll(np.sin(waves), 1, axis=0)


def _smooth(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth noise with a variance of about 1: a coarse grid of random numbers, interpolated linearly per axis."""
    noise = random.normal(0, 2, [-(-n // 6) + 1 for n in shape])
    for axis, n in enumerate(shape):
        position = np.arange(n) / 6
        lower = position.astype(int)
        weight = (position - lower).reshape([-1 if a == axis else 1 for a in range(3)])
        noise = np.take(noise, lower, axis) * (1 - weight) + np.take(noise, lower + 1, axis) * weight
    return noise


def write_scan(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Write a scan or its label map as NIfTI."""
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _column(values: Any) -> np.ndarray:
    """Three numbers, shaped to broadcast against points (3, X, Y, Z)."""
    return np.asarray(values, dtype=np.float32).reshape(3, 1, 1, 1)


def _distance_to_piece(points: np.ndarray, start: Point, end: Point) -> np.ndarray:
    along = np.subtract(end, start)
    offset = points - _column(start)
    position = np.clip(np.tensordot(along / (along @ along), offset, 1), 0, 1)
    return np.linalg.norm(offset - _column(along) * position, axis=0)
