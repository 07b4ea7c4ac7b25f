"""Damage to what a run left: either it makes no difference, or an error names the file and ends with its own code."""

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from tests.runs.conftest import content_of

import medvid
from medvid.cli.main import main
from medvid.errors import CheckpointError, DataError, MedvidError
from medvid.runs.api import Run
from medvid.runs.folder import append_metrics, read_metrics, rewind_metrics

CODES = {2, 3, 4, 6, 9}
NEEDED = {
    "origin.json",
    "resolved.yaml",
    "metrics.jsonl",
    "mlflow.json",
    "environment.json",
    "manifest.json",
    "model.safetensors",
}


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def same_end(run: Run, other: Run) -> bool:
    """Whether two runs ended with the same weights and scores, and no figure was logged by one alone but by `other`."""
    weights = [content_of(each.folder.checkpoints / "step-00000003")["model.safetensors"] for each in (run, other)]
    mine, theirs = (
        [(row["step"], row["split"], row["values"]) for row in read_metrics(each.folder.metrics)]
        for each in (run, other)
    )
    same_rows = all(row in theirs for row in mine if row[1] != "perf")
    return weights[0] == weights[1] and same_rows and run.summary["metrics"] == other.summary["metrics"]


def outcome(folder: Path, damaged: Path, whole: Run) -> str:
    """What resuming comes to: "same", or the name of the error's kind; everything else fails."""
    before = content_of(folder)
    try:
        resumed = medvid.resume(folder)
    except MedvidError as raised:
        error = raised
    else:
        assert same_end(resumed, whole), damaged
        return "same"
    assert error.exit_code in CODES, damaged
    assert damaged.name in f"{error}" or damaged.parent.name in f"{error}", error
    assert content_of(folder) == before, damaged
    return error.kind


def test_a_flipped_bit_makes_no_difference_or_is_named(small: Run, tmp_path: Path) -> None:
    """Flips over the files of a run folder; without a checkpoint of the last step, so that there is something to do."""
    whole = Path(shutil.copytree(small.folder.path, tmp_path / "whole"))
    shutil.rmtree(whole / "checkpoints/step-00000003")
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and path.stat().st_size)
    draw = random.Random(int(os.environ.get("MEDVID_TEST_FLIPS_SEED", "0")))
    outcomes = Counter[str]()
    if not (flips := int(os.environ.get("MEDVID_TEST_FLIPS", "0"))):  # a few of each kind
        files = [path for path in files if path.name in NEEDED and path.parts[-2:-1] != ("step-00000001",)]
    for number in range(flips or len(files)):
        copy = Path(shutil.copytree(whole, tmp_path / f"flipped-{number}"))
        damaged = copy / files[number % len(files)]
        flip(damaged, draw.randrange(8 * damaged.stat().st_size))
        outcomes[outcome(copy, damaged, small)] += 1
        shutil.rmtree(copy)
    assert outcomes["DATA"]  # origin.json
    assert outcomes["same"] > 3


CONTENTS = {"bytes": b"\xff\xfe\x00", "empty": b"", "list": b"[]", "cut": b"{"}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize(("name", "code"), [("origin.json", 4), ("resolved.yaml", 2)])
def test_what_the_run_began_with_is_needed(
    small: Run, name: str, code: int, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    (small.folder.path / name).write_bytes(content)
    for command in (["run", "--resume"], ["evaluate"]):
        assert main([*command, str(small.folder.path)]) == code
        assert name in capfd.readouterr().err


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_what_a_run_can_do_without_does_not_stop_it(small: Run, content: bytes) -> None:
    before = small.summary
    for name in ("data.json", "environment.json", "mlflow.json", "summary.json", "metrics.jsonl", "task.yaml",
                 "run.log", ".lock", "cases.csv"):  # fmt: skip
        (small.folder.path / name).write_bytes(content)
    after = medvid.resume(small.folder.path).summary
    assert after["metrics"] == before["metrics"]
    assert after["mlflow_run_id"] not in {None, before["mlflow_run_id"]}


def test_a_damaged_report_of_unreadable_cases_is_named_before_anything_changes(small: Run) -> None:
    small.folder.unreadable(0).write_bytes(b"{")
    before = content_of(small.folder.path)
    with pytest.raises(DataError, match=r"unreadable\.json"):
        medvid.resume(small.folder.path)
    assert content_of(small.folder.path) == before


def test_a_damaged_best_checkpoint(small: Run, capfd: pytest.CaptureFixture[str]) -> None:
    best = small.folder.path / small.summary["best"]
    flip(best / "model.safetensors", 4000)
    others = [path.name for path in small.folder.checkpoints.iterdir() if path != best]
    for command in (["evaluate"], ["predict"]):
        inputs = ["own/images"] if command == ["predict"] else []
        assert main([*command, str(small.folder.path), *inputs]) == 9
        error = capfd.readouterr().err
        assert best.name in error
        assert "--checkpoint last" in error
    evaluation, _ = small.evaluate(checkpoint="last")
    assert f"step-{evaluation.step:08d}" == max(others)
    resumed = medvid.resume(small.folder.path)
    assert resumed.summary["best"].removeprefix("checkpoints/") in others
    assert any(f"of step {int(best.name[-8:])}, is damaged and lost" in note for note in resumed.summary["notes"])


def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_it_is_used(
    small: Run, caplog: pytest.LogCaptureFixture
) -> None:
    newest = small.folder.checkpoints / "step-00000003"
    before = content_of(newest)
    flip(newest / "optimizer.safetensors", 4000)
    medvid.resume(small.folder.path)
    assert "step-00000003" in caplog.text
    assert content_of(newest) == before
    shutil.rmtree(small.folder.checkpoints)
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        small.evaluate()


def test_damaged_lines_of_metrics_are_named_and_the_others_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in range(1, 6):
        append_metrics(path, step, "train", {"loss": 1.25 * step})
    whole = read_metrics(path)
    assert [record["values"]["loss"] for record in whole] == [1.25, 2.5, 3.75, 5.0, 6.25]
    content = path.read_bytes()
    line = content.index(b"\n") + 1
    for bit in range(8 * line, 8 * content.index(b"\n", line)):
        flip(path, bit)
        kept = read_metrics(path)
        assert [record for record in kept if record in whole] == kept
        assert [record["step"] for record in kept] == [1, 3, 4, 5]
        path.write_bytes(content)
    flip(path, 8 * line)
    caplog.clear()
    rewind_metrics(path, 4)
    assert "metrics.jsonl:2 is damaged" in caplog.text
    assert [record["step"] for record in read_metrics(path)] == [1, 3, 4]
    path.write_bytes(path.read_bytes()[:-3])
    caplog.clear()
    assert [record["step"] for record in read_metrics(path)] == [1, 3]
    assert not caplog.records  # a kill has cut it
