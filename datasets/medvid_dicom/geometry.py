"""From the places of parallel frames to an affine; what is not a regular grid is refused."""

import numpy as np

from medvid.data.volumes.formats.format import UnusableError
from medvid_dicom.frames import Frame
from medvid_dicom.stacks import Stack

TOLERANCE = 0.01
"""Part of the step by which a slice may miss its place."""

_ROUNDING = 0.01  # mm by which it may in any case, as positions are written with few digits
_UPRIGHT = np.cos(np.radians(0.2))  # steps at a larger angle to the normal are a tilted gantry


def arrange(stack: Stack, tolerance: float) -> tuple[tuple[Frame, ...], np.ndarray, tuple[str, ...]]:
    """Sort the frames of a stack along cross(row direction, column direction), and find the affine.

    Args:
        stack: its frames.
        tolerance: part of the usual step by which the step from slice to slice may differ.

    Returns:
        The frames in order; the affine (4, 4), from column, row and slice to RAS millimetres, sheared where the
        gantry was tilted; and notes.

    Raises:
        UnusableError: a slice is missing, places are taken twice or the steps differ.
    """
    normal = stack.frames[0].normal
    frames = tuple(sorted(stack.frames, key=lambda frame: float(frame.position @ normal)))
    positions = np.array([frame.position for frame in frames])
    if len(frames) == 1:
        step, notes = thickness(frames[0])
    else:
        _check_steps(positions, normal, tolerance, stack)
        step, notes = (positions[-1] - positions[0]) / (len(frames) - 1), ()
        if abs(cosine := float(step @ normal / np.linalg.norm(step))) < _UPRIGHT:
            angle = np.degrees(np.arccos(cosine))
            notes = (f"was taken with a tilted gantry: its slices are offset by {angle:.3g} degrees, its axes sheared",)
    return frames, affine_of(frames[0], step), notes


def affine_of(first: Frame, step: np.ndarray) -> np.ndarray:
    """(4, 4): column, row and slice to RAS millimetres, from the first slice and the step (LPS) to the next one."""
    affine = np.eye(4)
    affine[:3, [0, 1, 3]] = first.plane[:3]
    affine[:3, 2] = step * (-1, -1, 1)
    return affine


def thickness(frame: Frame) -> tuple[np.ndarray, tuple[str, ...]]:
    """The step of a single slice along its normal."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if value := abs(frame.number(keyword)):
            return frame.normal * value, (f"has one slice: its {keyword}, {value:g} mm, is taken as the step",)
    return frame.normal, ("has one slice and no thickness: 1 mm is assumed",)


def _check_steps(positions: np.ndarray, normal: np.ndarray, tolerance: float, stack: Stack) -> None:
    steps = np.diff(positions, axis=0)
    along = steps @ normal
    if (along <= _ROUNDING / 10).any():
        twice = int((along <= _ROUNDING / 10).sum())
        raise UnusableError(
            f"has {twice} places with more than one slice, and nothing tells them apart ({stack})",
            "remove the surplus files, or keep the volumes in folders of their own",
        )
    lengths = np.linalg.norm(steps, axis=1)
    usual = steps[np.argsort(lengths, kind="stable")[(len(steps) - 1) // 2]]
    allowed = max(_ROUNDING, tolerance * float(np.linalg.norm(usual)))
    bad = np.flatnonzero(np.linalg.norm(steps - usual, axis=1) > allowed)
    if len(bad):
        raise UnusableError(
            f"is not evenly spaced ({stack}): {_gaps(positions, steps, usual, bad)}",
            "add the missing slices, or resample the series before; "
            "dataset.format: {name: dicom, tolerance: 0.05} allows 5 % of the step",
        )


def _gaps(positions: np.ndarray, steps: np.ndarray, usual: np.ndarray, bad: np.ndarray) -> str:
    """Where steps are not the usual one."""
    length = float(np.linalg.norm(usual))
    first = int(bad[0])
    gap = float(np.linalg.norm(steps[first]))
    more = f", and {len(bad) - 1} other steps differ" if len(bad) > 1 else ""
    missing = round(gap / length) - 1
    reason = ""
    if len(bad) == 1 and missing and abs(gap / length - missing - 1) < 0.1:
        reason = f" ({missing} slice{'s' if missing > 1 else ''} missing)"
    start, end = (np.round(positions[first + side], 3).tolist() for side in (0, 1))
    return (
        f"from slice {first} at {start} to slice {first + 1} at {end} (LPS, mm; slices count from 0) it is {gap:.6g} "
        f"mm, where {length:.6g} mm is usual{reason}{more}"
    )
