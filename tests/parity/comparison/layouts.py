"""Folders and tables of data sets of cases (cases ``medmnist`` and ``tables`` of the fixture ``formats``)."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from comparison.checks import Check
from medvid.data.tables.cells import finding_of
from medvid.data.tables.columns import PATHS, Table, read_table
from medvid.data.tables.index import AnsweredCase, with_patients
from medvid.data.tables.lists import Layout, class_names, index_table, read_classes
from medvid.plugin.info import UNKNOWN
from medvid_images.xray_config import ChestXray14Options, CheXpertOptions
from medvid_medmnist.archive import Archive

Case = Mapping[str, Any]
SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}


def compare_medmnist(case: Case, folder: Path) -> Iterator[Check]:
    """Shapes, labels and a digest of the arrays, read from the file and once more from the cache."""
    for flag, expected in case["expected"].items():
        with tempfile.TemporaryDirectory() as cache:
            archive = Archive(folder / f"{flag}.npz", Path(cache))
            for where in ("file", "cache"):
                for name, wanted in expected.items():
                    kept, _, kind = name.rpartition("_")
                    digest = kept.startswith("sha1_")
                    array = archive.array(SPLIT_NAMES[kept.removeprefix("sha1_")], kind)
                    if digest:
                        wrong = hashlib.sha1(array.tobytes(), usedforsecurity=False).hexdigest() != wanted
                    elif np.ndim(wanted) == 1:
                        wrong = list(array.shape) != wanted
                    else:
                        wrong = array.tolist() != wanted
                    yield Check(f"{flag} {name} of the {where}", float(wrong), 0)
                archive.unpack()


def compare_tables(case: Case, folder: Path) -> Iterator[Check]:
    """What medvid reads of the tables of images; those of videos and boxes are not compared here."""
    for name, expected in case["expected"].items():
        if compare := _TABLES.get(name):
            yield from (Check(f"{name} {part}", float(wrong), 0) for part, wrong in compare(folder, name, expected))
        else:
            print(f"  tables: {name}: not of images, not compared here")


def _generic(folder: Path, name: str, expected: Case) -> Iterator[tuple[str, bool]]:
    with tempfile.TemporaryDirectory() as root:
        table = _with_files(read_table(folder / name), Path(root), PATHS)
        label = table.find(None, ("label",), "class_column") or ""
        index = index_table(table, Layout(Path(root)), [label], read_classes(label, class_names(table, label)))
    for split, meant in SPLIT_NAMES.items():
        if split in expected:
            yield split, len(index.splits.get(meant, ())) != expected[split]
    yield "patients", any(not case.patient for case in index.cases.values())


def _nih(folder: Path, name: str, expected: Case) -> Iterator[tuple[str, bool]]:
    table = read_table(folder / name)
    options = ChestXray14Options(root=folder, table=name)
    for number, (row, wanted) in enumerate(zip(table.rows, expected["labels_per_row"], strict=True), start=1):
        found = options.findings(row.cells["Finding Labels"])
        said = {label for label, value in zip(options.label_columns, found, strict=True) if value}
        yield f"row {number}", said != set(wanted)


def _chexpert(folder: Path, name: str, expected: Case) -> Iterator[tuple[str, bool]]:
    table = read_table(folder / name)
    labels = table.columns[table.columns.index("No Finding") :]
    yield "labels", len(labels) != expected["labels"]
    second = {label: finding_of(table.rows[1].cells[label], "ignore", "zeros") for label in labels}
    unknown = {label for label, value in second.items() if value == UNKNOWN}
    yield "uncertain", unknown != set(expected["row_2_uncertain"])
    case = AnsweredCase(table.rows[0].cells["Path"], folder, 0)
    [found] = with_patients([case], CheXpertOptions(root=folder).patient_pattern).values()
    yield "patient", found.patient != expected["patient"].rpartition(" ")[2]


_TABLES = {"generic.csv": _generic, "Data_Entry_2017.csv": _nih, "chexpert_valid.csv": _chexpert}


def _with_files(table: Table, root: Path, usual: tuple[str, ...]) -> Table:
    """Make the files that a table names, so that it can be indexed."""
    column = table.find(None, usual, "path_column") or ""
    for row in table.rows:
        path = root / row.cells[column]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return table
