import csv
import io
import math

from rich.console import Console

from medvid.evaluation.metrics.aggregate import per_label
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.label_table import label_table
from medvid.evaluation.report import as_rich, as_text, write_cases

NAN = math.nan


LABEL_IDS = {"gallbladder": 4, "liver": 6}


def row(case: str, label: str, state: str, dice: float, hd95: float) -> dict[str, object]:
    return {"case": case, "label": label, "label_id": LABEL_IDS[label], "state": state, "dice": dice, "hd95_mm": hd95}


ROWS = [
    row("a", "liver", "scored", 0.9, 2.0),
    row("a", "gallbladder", "absent", NAN, NAN),
    row("b", "liver", "scored", 0.8, 4.0),
    row("b", "gallbladder", "missed", 0.0, NAN),
]

FIGURES = (Figure("dice", "Dice"), Figure("hd95_mm", "HD95 (mm)", 2))
TEXT = """\
label         Dice  HD95 (mm)  scored  missed  false pos.  absent
gallbladder  0.000          -       0       1           0       1
liver        0.850       3.00       2       0           0       0
mean         0.425       3.00       2       1           0       1"""


def test_text_lists_labels_by_id_with_their_means_and_counts():
    assert as_text(label_table(per_label(ROWS, ("dice", "hd95_mm")), FIGURES)) == TEXT


def test_table_shows_the_same_cells():
    console = Console(file=io.StringIO(), width=120)
    console.print(as_rich(label_table(per_label(ROWS, ("dice", "hd95_mm")), FIGURES)))
    shown = console.file.getvalue()
    assert [cell for line in TEXT.splitlines() for cell in line.split("  ") if cell.strip() not in shown] == []


def test_csv_has_every_row_and_empty_fields_for_undefined_figures(tmp_path):
    path = write_cases(ROWS, tmp_path / "cases.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["cases.csv"]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(ROWS[0])
    assert [(r["case"], r["label"], r["dice"]) for r in rows] == [
        ("a", "liver", "0.9"),
        ("a", "gallbladder", ""),
        ("b", "liver", "0.8"),
        ("b", "gallbladder", "0.0"),
    ]


def test_nothing_scored_still_gives_a_table():
    assert as_text(label_table([], [])).splitlines()[0].split() == [
        "label",
        "scored",
        "missed",
        "false",
        "pos.",
        "absent",
    ]
