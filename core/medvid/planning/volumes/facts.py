"""What is found out about one case: size, spacing, content and intensities, as nnU-Net's fingerprint has them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medvid.data.volumes import reading
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import Volume
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.steps.content import bounding_box, nonzero_mask
from medvid.planning.volumes.intensities import Drawn, draw


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case; axes are R, A, S.

    Args:
        spacing: mm.
        shape: voxels.
        cropped: voxels of the box of what is not 0 in any channel.
        relative_size: share of the case that the box is.
        label_voxels: of each id.
        lowest: value of each channel, in the whole case.
        highest: likewise.
        drawn: of each channel, see `intensities`.
        notes: what is odd about its files, but not an error.
    """

    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    cropped: tuple[int, ...]
    relative_size: float
    label_voxels: tuple[int, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    drawn: tuple[Drawn, ...]
    notes: tuple[str, ...] = ()


def read_facts(files: CaseFiles, formats: Formats, scheme: LabelScheme, draws: int) -> CaseFacts:
    """Read a labelled case.

    Args:
        files: its files.
        formats: the enabled ones.
        scheme: what ids in its label map may be.
        draws: values of each channel to draw.

    Raises:
        medvid.errors.DataError: a file cannot be used, or contradicts another one.
    """
    image, label = _read(files, formats, scheme)
    notes = dict.fromkeys((*image.notes, *(f"{note}, the label map" for note in label.notes)))
    return replace(facts_of(image, label, scheme.ids, draws), notes=tuple(notes))


def facts_of(image: Volume, label: Volume, ids: int, draws: int) -> CaseFacts:
    """The facts of an image and its label map, which lie on one another.

    Args:
        image: with its channels.
        label: ids.
        ids: number of ids, from 0.
        draws: values of each channel to draw.
    """
    mask = nonzero_mask(np.moveaxis(image.channels_last, 3, 0))
    mask = mask if mask.any() else np.ones_like(mask)  # such cases are refused later, all at once
    box = bounding_box(mask)
    # As nnU-Net goes through voxels: z, y, x of the file, so that its seeded draws are these draws.
    foreground = np.transpose(label.data[box], (2, 1, 0)) > 0
    inside = np.transpose(image.channels_last[box], (3, 2, 1, 0))
    turn = closest_ras(image.affine)[:, 0].argsort()
    shape, cropped = np.array(mask.shape), np.array([side.stop - side.start for side in box])
    flat = image.channels_last.reshape(-1, image.channels_last.shape[3])
    return CaseFacts(
        spacing=tuple(np.array(image.geometry.spacing)[turn].tolist()),
        shape=tuple(shape[turn].tolist()),
        cropped=tuple(cropped[turn].tolist()),
        relative_size=float(cropped.prod() / shape.prod()),
        label_voxels=tuple(np.bincount(label.data.ravel(), minlength=ids).tolist()),
        lowest=tuple(map(float, flat.min(0))),
        highest=tuple(map(float, flat.max(0))),
        drawn=tuple(draw([channel[foreground] for channel in inside], draws)),
    )


def _read(files: CaseFiles, formats: Formats, scheme: LabelScheme) -> tuple[Volume, Volume]:
    first, *others = (reading.read(formats, path, files.id) for path in files.images)
    volumes: Sequence[Volume] = [first, *(reading.align(first, each, files.id, "further channel") for each in others)]
    data = np.concatenate([volume.channels_last for volume in volumes], axis=3)
    assert files.label is not None, "only labelled cases are looked at"
    label = reading.read_labels(formats, files.label, files.id, scheme.ids, scheme.names_of_ids, first.geometry)
    image = Volume(data, first.geometry, notes=tuple(note for each in volumes for note in each.notes))
    return image, reading.align(image, label, files.id, "label map")
