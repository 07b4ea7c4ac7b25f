"""Tables of answers against tables of the truth: each case accounted for, figures as an evaluation has them."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

ANSWERS = (
    "case,path,predicted,cat,dog,eel\na,/x/a.png,cat,0.8,0.1,0.1\nb,,dog,0.2,0.7,0.1\nc,,dog,.3,.6,.1\nd,,dog,0,1,0\n"
)
TRUTH = "\ufefffile,label,patient\r\nimg/a.png,cat,1\r\nimg/b.png,dog,2\r\nimg/c.png,cat,2\r\nimg/d.png,,3\r\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("answers.csv").write_text(ANSWERS)
    Path("truth.csv").write_text(TRUTH)
    return tmp_path


def metrics() -> dict[str, float]:
    found: dict[str, float] = json.loads(Path("scores/summary.json").read_text())["metrics"]
    return found


def test_classes(platform: Any) -> None:
    result = platform("score", "answers.csv", "truth.csv")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert "cases are matched by the names of their files, without folders and endings" in text
    assert "classes without a case in truth.csv: eel" in text
    assert "1 of 4 cases have no label" in text or "1 of 4" in text
    assert metrics()["accuracy"] == pytest.approx(2 / 3)
    with Path("scores/figures.csv").open() as file:
        accuracy = next(row for row in csv.DictReader(file) if row["figure"] == "accuracy")
    assert float(accuracy["low"]) <= 2 / 3 <= float(accuracy["high"])


def test_labels(platform: Any) -> None:
    Path("answers.csv").write_text("case,x,y\na,0.9,.2\nb,0.2,.3\nc,.8,.9\n")
    Path("truth.csv").write_text("case,y,x\nc,yes,1\na,0,1\nb,-1,0\n")
    assert platform("score", "answers.csv", "truth.csv", "--what", "labels").code == 0
    assert metrics()["auroc/x"] == 1.0
    assert json.loads(Path("scores/summary.json").read_text())["names"] == ["y", "x"]


def test_labels_that_one_column_lists(platform: Any) -> None:
    Path("answers.csv").write_text("path,sit,run,jump\nx/a.mp4,.9,.2,.1\nx/b.mp4,.2,.8,.1\nx/c.mp4,.3,.7,.9\n")
    Path("truth.csv").write_text("video,actions\na,sit\nb,\nc,run;sit\n")
    result = platform("score", "answers.csv", "truth.csv", "--what", "labels", "--columns", "actions")
    assert result.code == 0, result.err
    text = " ".join(result.out.split())
    assert "labels without a case in truth.csv: jump" in text
    assert "1 of 3 cases have nothing in column actions, so their labels are unknown: line 3" in text
    assert json.loads(Path("scores/summary.json").read_text())["names"] == ["run", "sit", "jump"]
    assert metrics()["average_precision/run"] == 1.0
    Path("truth.csv").write_text("path,actions\na,sit\nb,hop\nc,run;sit\n")
    refused = platform("score", "answers.csv", "truth.csv", "--what", "labels", "--columns", "actions")
    assert (refused.code, "no column of probabilities for hop" in refused.err) == (4, True)


def test_values_with_units(platform: Any) -> None:
    Path("answers.csv").write_text("case,age (years),volume (ml)\na,40,100\nb,50,90\n")
    Path("truth.csv").write_text("case,age,volume (l)\na,41,0.1\nb,,0.2\n")
    refused = platform("score", "answers.csv", "truth.csv", "--what", "value")
    assert refused.code == 4
    assert "truth.csv has 'volume (l)', answers.csv has 'volume (ml)'" in refused.err
    assert platform("score", "answers.csv", "truth.csv", "--what", "value", "--columns", "age").code == 0
    assert metrics()["mae"] == 1.0


@pytest.mark.parametrize(
    ("answers", "truth", "arguments", "code", "said"),
    [
        (ANSWERS.replace("c,,dog,.3,.6,.1\n", ""), TRUTH, [], 4, "answers.csv lacks cases (1): c"),
        (ANSWERS.replace("0.8", "1.8"), TRUTH, [], 4, "score 1.8 in column 0 is not a probability"),
        (ANSWERS.replace("0.8", "nan"), TRUTH, [], 4, "is not a probability"),
        (ANSWERS.replace("0.8", "good"), TRUTH, [], 4, "answers.csv:2: column cat: 'good' is not a number"),
        (ANSWERS.replace("b,,dog", "a,,dog"), TRUTH, [], 4, "answers.csv:3: a is named in line 2 already"),
        (ANSWERS, TRUTH.replace("img/b.png", "other/a.png"), [], 4, "lines 2 and 3 are of files 'a' in two folders"),
        (ANSWERS, TRUTH.replace("cat", "cow"), [], 4, "no column of probabilities for cow"),
        (ANSWERS, TRUTH.replace("label", "kind"), [], 2, "no column of classes by a usual name"),
        (ANSWERS, TRUTH, ["--suffix", "a", "--ignore", "2"], 2, "--ignore, --suffix are for masks"),
        (ANSWERS, TRUTH, ["--labels", "cat"], 4, "truth.csv:3: column label: 'dog' is not one of the classes"),
        (ANSWERS, TRUTH, ["--what", "labels", "--labels", "a"], 2, "--labels is for masks, and for tables of classes"),
        (ANSWERS, TRUTH, ["--protocol", "phases"], 2, "should be a protocol with 'case' among its where"),
        (ANSWERS + "a,,cat,1,0,0\n", TRUTH, [], 4, "rows of frames need a column slice or frame in both tables"),
        (ANSWERS, TRUTH, ["--what", "value"], 2, "have no columns in common"),
        (ANSWERS, TRUTH, ["--what", "value", "--columns", "age"], 4, "truth.csv has no column 'age'"),
        (ANSWERS.replace("case", "who").replace("path", "at"), TRUTH, [], 4, "no column that names the cases"),
    ],
)
def test_what_does_not_fit_is_refused(
    platform: Any, answers: str, truth: str, arguments: list[str], code: int, said: str
) -> None:
    Path("answers.csv").write_text(answers)
    Path("truth.csv").write_text(truth)
    result = platform("score", "answers.csv", "truth.csv", *arguments)
    assert (result.code, said in " ".join(result.err.split())) == (code, True), result.err
    assert not Path("scores").exists()


def test_cases_that_both_have(platform: Any) -> None:
    Path("answers.csv").write_text(ANSWERS.replace("c,,dog,.3,.6,.1\n", ""))
    result = platform("score", "answers.csv", "truth.csv", "--common")
    assert result.code == 0
    assert "answers.csv lacks cases (1): c" in " ".join(result.out.split())
    assert metrics()["accuracy"] == 1.0


FRAMES = "case,path,frame,time_s,predicted,start,end\n" + "".join(
    f"/v/{video}.mp4,,{frame},{frame / 2},{'start' if late else 'end'},{0.9 * late:.1f},{1 - 0.9 * late:.1f}\n"
    for video, border in (("a", 5), ("b", 4))
    for frame, late in ((number, number < border) for number in range(8))
)
PHASES = "video,frame,phase\n" + "".join(
    f"{video}.mp4,{frame},{'' if frame == 7 else 'start' if frame < 4 else 'end'}\n"
    for video in ("b", "a")
    for frame in reversed(range(8))
)
RELAXED = "{name: phases_relaxed, seconds: 0.5, late: [1, 1], early: [1, 1]}"


def score_frames(platform: Any, answers: str, truth: str, *arguments: str) -> Any:
    Path("answers.csv").write_text(answers)
    Path("truth.csv").write_text(truth)
    return platform("score", "answers.csv", "truth.csv", *arguments)


def test_frames_are_scored_as_videos_by_a_protocol_of_phases(platform: Any) -> None:
    """Video a is one frame late of seven; frames stand in any order, and those without a phase count nowhere."""
    result = score_frames(platform, FRAMES, PHASES, "--protocol", RELAXED)
    assert result.code == 0, result.err
    assert metrics()["phase_accuracy"] == pytest.approx((6 / 7 + 1) / 2)
    assert metrics()["relaxed_accuracy"] == 1.0
    assert metrics()["accuracy"] == pytest.approx(13 / 14)
    assert metrics()["edit_score"] == 1.0
    summary = json.loads(Path("scores/summary.json").read_text())
    assert (summary["names"], summary["protocol"]) == (["start", "end"], "phases_relaxed")
    assert "frames per second: 2" in summary["notes"]
    with Path("scores/videos.csv").open() as file:
        assert [(row["case"], row["frames"], row["frames_unknown"]) for row in csv.DictReader(file)] == [
            ("b.mp4", "7", "1"),
            ("a.mp4", "7", "1"),
        ]


def test_decided_classes_need_no_probabilities(platform: Any) -> None:
    decided = "\n".join(line.rsplit(",", 2)[0] for line in FRAMES.splitlines())
    assert score_frames(platform, decided, PHASES, "--protocol", "phases").code == 0
    assert metrics()["phase_accuracy"] == pytest.approx((6 / 7 + 1) / 2)
    assert "accuracy" not in metrics()
    unordered = json.loads(Path("scores/summary.json").read_text())["names"]
    assert unordered == ["end", "start"]
    refused = score_frames(platform, decided, PHASES)
    assert (refused.code, "only decided classes" in refused.err) == (4, True)
    ordered = score_frames(platform, decided, PHASES, "--protocol", RELAXED, "--labels", "start,end")
    assert ordered.code == 0
    assert json.loads(Path("scores/summary.json").read_text())["names"] == ["start", "end"]
    assert metrics()["relaxed_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("answers", "truth", "arguments", "code", "said"),
    [
        (FRAMES, PHASES.replace("a.mp4,3,start\n", ""), [], 4, "truth.csv lacks frames (1): a frame 3"),
        (FRAMES.replace(",3,1.5,", ",3.5,1.5,"), PHASES, [], 4, "frame '3.5' is not a whole number"),
        (FRAMES, PHASES.replace("a.mp4,3,", "a.mp4,2,"), [], 4, "a.mp4 frame 2 is named in line"),
        (
            re.sub(r",time_s|(?<=,\d),\d\.\d(?=,[se])", "", FRAMES),
            PHASES,
            ["--protocol", RELAXED],
            4,
            "video b.mp4: a border of 0.5 s needs",
        ),
        (FRAMES, PHASES, ["--protocol", "phases_relaxed"], 2, "say with late and early how many phases away"),
        (
            FRAMES,
            PHASES.replace("\n", ",0\n").replace("phase,0", "phase,time_s"),
            ["--protocol", "phases"],
            4,
            "number frames at one rate in both tables",
        ),
    ],
)
def test_frames_that_do_not_fit_are_refused(
    platform: Any, answers: str, truth: str, arguments: list[str], code: int, said: str
) -> None:
    result = score_frames(platform, answers, truth, *arguments)
    assert (result.code, said in " ".join(result.err.split())) == (code, True), result.err
    assert not Path("scores").exists()


def test_protocols_of_cases_score_tables_too(platform: Any) -> None:
    Path("answers.csv").write_text("case,EF (%)\na,40\nb,52\nc,61\nd,33\n")
    Path("truth.csv").write_text("case,EF\na,41\nb,56\nc,60\nd,\n")
    block = "{name: echonet, resamples: 100}"
    assert platform("score", "answers.csv", "truth.csv", "--what", "value", "--protocol", block).code == 0
    assert metrics()["mae"] == 2.0
    assert metrics()["mae_low"] <= 2.0 <= metrics()["mae_high"]
    assert metrics()["auroc_above_45"] == 1.0
