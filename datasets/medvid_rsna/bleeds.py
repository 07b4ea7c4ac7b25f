"""CT of heads with bleeds of each kind, in the layout and file format of the challenge.

A bleed is on a few slices of a series, so that no answer for the series as a whole will do, and kinds differ by place
and shape alone: all are as dense. Calcifications are denser and mean nothing. File names, instance numbers and lines of
the table are in random order.
"""

import csv
from functools import partial
from pathlib import Path

import numpy as np

from medvid.data.generated import generate_once
from medvid.errors import DataError
from medvid.seeding import derive_seed
from medvid_rsna.config import LABELS, BleedsOptions

AIR, SKULL, BRAIN, FLUID, BLOOD, CALCIUM = -1000, 900, 33, 6, 72, 140
"""HU."""
FIELD = 230.0  # mm
STEP = 5.0  # mm


def generate(folder: Path, options: BleedsOptions) -> None:
    """Write stage_2_train.csv and the slices, unless the folder already holds exactly these.

    Raises:
        DataError: the folder holds something else, or pydicom is missing.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise DataError("the demo is written by pydicom", hint='pip install "medvid[dicom]"') from None
    description = {"generator": "medvid_rsna.bleeds", "options": options.model_dump(mode="json"), "format": 1}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: BleedsOptions) -> None:
    (images := folder / "stage_2_train").mkdir()
    rows: list[tuple[str, int]] = []
    for patient in range(options.patients):
        for series in range(2 if patient % 3 == 0 else 1):
            random = np.random.default_rng(derive_seed(options.seed, "bleeds", patient, series))
            scan, labels = draw(random, options)
            order = random.permutation(len(labels))
            for place, (pixels, present) in enumerate(zip(scan, labels, strict=True)):
                name = f"ID_{derive_seed(options.seed, 'image', patient, series, place) % 16**9:09x}"
                _save(images / f"{name}.dcm", pixels, (patient, series, place), int(order[place]))
                rows += [(f"{name}_{label}", int(one)) for label, one in zip(LABELS, present, strict=True)]
    rows += rows[:6]  # as the published table, which says some images twice
    shuffled = np.random.default_rng(options.seed).permutation(len(rows))
    with (folder / "stage_2_train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("ID", "Label"), *(rows[number] for number in shuffled)])


def draw(random: np.random.Generator, options: BleedsOptions) -> tuple[np.ndarray, np.ndarray]:
    """A scan of a head.

    Returns:
        HU (slices, rows, columns) int16, from the feet to the head; and labels (slices, 6) bool.
    """
    count = int(random.integers(min(options.slices), max(options.slices) + 1))
    labels = np.zeros((count, len(LABELS)), bool)
    for kind in range(len(LABELS) - 1):
        if random.random() < 0.4:
            length = int(random.integers(2, max(3, 2 * count // 3)))
            start = int(random.integers(0, max(count - length, 0) + 1))
            labels[start : start + length, kind] = True
    labels[:, -1] = labels.any(axis=1)
    places = {name: _place(random) for name in LABELS[:-1]}
    spots = random.uniform(-0.4, 0.4, (2, 2))
    scan = [_slice(options.size, row, places, spots, random) for row in labels]
    return np.stack(scan), labels


def _place(random: np.random.Generator) -> tuple[float, float]:
    """An angle about the centre, and which side of the head."""
    return float(random.uniform(-0.3, 0.3)), float(random.choice([-1, 1]))


def _slice(
    size: int,
    present: np.ndarray,
    places: dict[str, tuple[float, float]],
    spots: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    rows, columns = (np.indices((size, size)) + 0.5) / size * 2 - 1
    radius = np.hypot(rows / 0.92, columns / 0.8)
    units = np.where(radius < 1, float(SKULL), float(AIR))
    inside = radius < 0.88
    units[inside] = BRAIN
    ventricles = np.hypot(rows / 0.4, (np.abs(columns) - 0.16) / 0.12) < 1
    units[ventricles] = FLUID
    for label, one in zip(LABELS[:-1], present[:-1], strict=True):
        if one:
            units[_bleed(label, rows, columns, radius, *places[label]) & inside] = BLOOD
    for row, column in spots:
        units[np.hypot(rows - row, columns - column) < 1.5 / size] = CALCIUM
    shift = random.normal(0, 3) + random.normal(0, 4, units.shape)
    return np.where(radius < 1, units + shift, units).round().astype(np.int16)


def _bleed(
    label: str, rows: np.ndarray, columns: np.ndarray, radius: np.ndarray, angle: float, side: float
) -> np.ndarray:
    """Where blood of a kind is: (rows, columns) bool."""
    turned = np.arctan2(rows, columns * side) - angle  # 0 at the side of the head
    if label == "epidural":  # a lens against the skull
        return np.hypot((radius - 0.88) / 0.4, turned / 0.5) < 1
    if label == "subdural":  # a crescent along it
        return (radius > 0.7) & (np.abs(turned) < 1.3)
    if label == "subarachnoid":  # in the furrows of the cortex
        return (radius > 0.5) & (np.abs(turned) < 1.2) & (np.cos(10 * turned) > 0.2)
    if label == "intraventricular":  # at the bottom of a ventricle
        return (np.hypot(rows / 0.4, (columns * side - 0.16) / 0.12) < 1) & (rows > 0)
    row, column = 0.45 * np.sin(angle) - 0.3, 0.42 * np.cos(angle) * side
    return np.hypot(rows - row, columns - column) < 0.2


def _save(path: Path, pixels: np.ndarray, source: tuple[int, int, int], instance: int) -> None:
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    patient, series, place = source
    uid = partial(generate_uid, prefix="2.25.")
    tags = pydicom.Dataset()
    tags.file_meta = pydicom.dataset.FileMetaDataset()
    tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": uid(entropy_srcs=[path.stem]), "Modality": "CT",
        "PatientID": f"ID_{patient:08x}", "StudyInstanceUID": uid(entropy_srcs=[f"study {patient} {series}"]),
        "SeriesInstanceUID": uid(entropy_srcs=[f"series {patient} {series}"]), "InstanceNumber": instance + 1,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-FIELD / 2, -FIELD / 2, STEP * place - 40],
        "PixelSpacing": [FIELD / len(pixels)] * 2, "SliceThickness": STEP, "Rows": pixels.shape[0],
        "Columns": pixels.shape[1], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleSlope": 1,
        "RescaleIntercept": -1024, "PixelData": (pixels + 1024).astype("<i2").tobytes(),
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(tags, keyword, value)
    tags.save_as(path, enforce_file_format=True)
