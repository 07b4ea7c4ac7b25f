"""Images with a class, findings or numbers, and a table of them, through the command line."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medvid.cli.main import main
from medvid.runs.folder import RunFolder

TASK = """
name: answers
seed: 1
dataset: {{name: images, root: own, size: [16, 16], channels: 1, {asked}}}
backbone: {{name: vit, img_size: [16, 16], patch_size: 8, embed_dim: 16, depth: 1, num_heads: 2}}
head: {head}
train: {{steps: {steps}, batch_size: 4, optimizer: {{name: adamw, lr: 1e-2}}, precision: fp32, workers: 0}}
evaluation: {{every: {steps}, figures: 1, resamples: 20}}
"""
ASKED = {
    "class": ("class_column: kind", "classification"),
    "labels": ("label_columns: [left, right]", "classification"),
    "value": ('value_columns: {brightness: "%"}', "regression"),
}
CASES = 16


@pytest.fixture
def own(working_directory: Path) -> Path:
    """Pictures with a bright left or right half, or both, or none, and what is in them; two of each patient."""
    root, rows = working_directory / "own", []
    for number in range(CASES):
        left, right = number % 2, number // 2 % 2
        picture = np.random.default_rng(number).integers(30, 50, (16, 16), np.uint8)
        picture[:, :8] += 150 * left
        picture[:, 8:] += 150 * right
        path = root / f"p{number // 2}" / f"{number}, a.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        split = "val" if number >= CASES - 4 else "train"
        name = path.relative_to(root).as_posix()
        kind, brightness = ("none", "some", "all")[left + right], picture.mean() / 2.55
        rows.append([name, f"p{number // 2}", split, kind, left, "" if number == 0 else right, brightness])
    with (root / "labels.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["path", "patient", "split", "kind", "left", "right", "brightness"], *rows])
    return root


def write_task(what: str, steps: int = 2, **more: str) -> Path:
    asked, head = ASKED[what]
    path = Path("task.yaml")
    path.write_text(
        TASK.format(
            asked=", ".join([asked, *(f"{key}: {value}" for key, value in more.items())]), head=head, steps=steps
        )
    )
    return path


def the_run() -> RunFolder:
    [folder] = Path("runs/answers").iterdir()
    return RunFolder(folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


MONITORS = {"class": ("top1", 0.7), "labels": ("auroc", 0.7), "value": ("r2", 0.5)}
"""What chooses the best weights, and what it is at least where anything was learnt."""


@pytest.mark.parametrize("what", ASKED)
def test_it_trains_resumes_evaluates_and_predicts(what: str, own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(write_task(what, 40))]) == 0, capfd.readouterr().err
    run = the_run()
    summary = json.loads((run.path / "summary.json").read_text())
    monitor, least = MONITORS[what]
    assert summary["metrics"][monitor] > least, summary["metrics"]
    cases = rows_of(run.path / "cases.csv")
    assert [row["case"] for row in cases] == [f"p{number // 2}/{number}, a.png" for number in range(CASES - 4, CASES)]
    assert main(["evaluate", str(run.path), "--data", str(own), "--trained", "score"]) == 0, capfd.readouterr().err
    new = own / "p0"
    assert main(["predict", str(run.path), str(new), "-o", "out"]) == 0, capfd.readouterr().err
    dark, left = rows_of(Path("out/predictions.csv"))
    assert (dark["case"], dark["path"]) == ("0, a", str(new.absolute() / "0, a.png"))
    if what == "class":
        assert (dark["predicted"], left["predicted"]) == ("none", "some")
    elif what == "labels":
        assert float(dark["left"]) < 0.5 < float(left["left"])
    else:
        assert float(left["brightness (%)"]) == pytest.approx(45.1, abs=10)
    by = json.loads(Path("out/predictions.json").read_text())
    assert (by["run"], by["plugins"]["medvid"]) == (run.name, summary["plugins"]["medvid"])


@pytest.mark.parametrize(("what", "more"), [("value", []), ("class", ["--set", "train.balance=classes"])])
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    what: str, more: list[str], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own.is_dir()
    ends = {}
    for stops in (False, True):
        monkeypatch.chdir(own.parent)
        steps = ["--set", "train.steps=4", "--set", "train.checkpoint_every=1", "--set", f"output=out{stops:d}"]
        assert main(["run", str(write_task(what)), *steps, *more]) == 0
        [folder] = Path(f"out{stops:d}/answers").iterdir()
        assert ("all 3 -> 4, none 3 -> 4, some 6 -> 4" in (folder / "run.log").read_text()) == bool(more)
        if stops:
            for path in ("summary.json", "report.md", "cases.csv"):
                (folder / path).unlink(missing_ok=True)
            last = max((folder / "checkpoints").iterdir())
            for file in [*last.iterdir()]:
                file.unlink()
            last.rmdir()
            assert main(["run", "--resume", str(folder)]) == 0
        ends[stops] = (max((folder / "checkpoints").iterdir()) / "model.safetensors").read_bytes()
    assert ends[False] == ends[True]


def _both_sides(rows: list[list[Any]]) -> None:
    rows[-1][1] = "p0"


def _text(rows: list[list[Any]]) -> None:
    rows[3][6] = "bright"


def _empty(rows: list[list[Any]]) -> None:
    for row in rows[1:]:
        row[5] = ""


BAD: dict[str, tuple[Callable[[list[list[Any]]], None], str, str]] = {
    "patient on both sides": (_both_sides, "labels", "p0 (p0/0, a.png, p7/15, a.png)"),
    "text among numbers": (_text, "value", "labels.csv:4: column brightness: 'bright' is not a number"),
    "empty column": (_empty, "labels", "nothing stands in column right"),
}


@pytest.mark.parametrize(("spoil", "what", "said"), BAD.values(), ids=BAD)
def test_a_table_that_is_wrong_ends_in_a_sentence(
    spoil: Callable[[list[list[Any]]], None], what: str, said: str, own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (own / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = [*csv.reader(file)]
    spoil(rows)
    with (own / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    assert main(["run", str(write_task(what))]) == 4
    assert said in " ".join(capfd.readouterr().err.split())
    assert not Path("runs").exists()


def test_a_balance_of_what_cases_do_not_have_is_refused(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert own.is_dir()
    assert main(["check", str(write_task("value")), "--set", "train.balance=classes"]) == 2
    error = capfd.readouterr().err
    assert "train.balance is classes, but data set 'images' is annotated with a value per case" in error
