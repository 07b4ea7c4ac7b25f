import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medvid.errors import ConfigError, DataError
from medvid.evaluation.evaluator import Prediction
from medvid.runs.predictions import Predictions

MAKER = {"run": "unetr-1", "step": 7, "weights": "abc", "changes": {}}


def predict(made: Predictions, source: Path) -> None:
    output = made.folder / f"{source.stem}_mask.png"
    output.parent.mkdir(exist_ok=True)
    output.write_text("mask")
    made.add(source.stem, (source,), Prediction((output,)))


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"p{number}.png" for number in range(4)]
    for path in paths:
        path.write_text("pixels")
    return paths


def test_what_is_done_is_known_again(sources: list[Path], tmp_path: Path) -> None:
    made = Predictions(tmp_path / "out", MAKER)
    predict(made, sources[0])
    made.add_error("p1", DataError("case p1 is broken", hint="mend it"))
    predict(made, sources[2])
    (tmp_path / "out" / "p2_mask.png").unlink()
    again = Predictions(tmp_path / "out", MAKER)
    assert [again.has(path.stem, (path,)) for path in sources] == [True, False, False, False]


def test_a_changed_input_is_predicted_again_and_another_of_its_name_refused(
    sources: list[Path], tmp_path: Path
) -> None:
    predict(Predictions(tmp_path / "out", MAKER), sources[0])
    sources[0].write_text("others")
    os.utime(sources[0], ns=(0, 0))
    made = Predictions(tmp_path / "out", MAKER)
    assert not made.has("p0", (sources[0],))
    with pytest.raises(ConfigError, match=r"the prediction of another file with the name p0: .*p0\.png, now"):
        made.has("p0", (sources[1],))


@pytest.mark.parametrize("key", MAKER)
def test_predictions_of_two_makers_are_not_mixed(key: str, sources: list[Path], tmp_path: Path) -> None:
    predict(Predictions(tmp_path / "out", MAKER, rank=1), sources[0])
    with pytest.raises(ConfigError, match=rf"holds predictions of other weights or options: {key} .*, now other"):
        Predictions(tmp_path / "out", {**MAKER, key: "other"})


def test_each_process_sees_what_all_have_done_since_it_began(sources: list[Path], tmp_path: Path) -> None:
    predict(Predictions(tmp_path / "out", MAKER), sources[3])
    first, other = (Predictions(tmp_path / "out", MAKER, rank) for rank in (0, 1))
    predict(first, sources[0])
    other.add_error("p1", DataError("case p1 is broken", hint="mend it"))
    for attempts in (first.attempts(), other.attempts()):
        assert attempts.keys() == {"p0", "p1"}
        assert attempts["p0"] is None
        assert (str(attempts["p1"]), attempts["p1"].hint) == ("case p1 is broken", "mend it")
    assert all(Predictions(tmp_path / "out", MAKER).has(path.stem, (path,)) for path in (sources[0], sources[3]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 600))
def test_a_record_that_a_kill_cut_short_anywhere_is_gone_on_with(
    cut: int, sources: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("out")
    made = Predictions(folder, MAKER)
    for path in sources[:2]:
        predict(made, path)
    record = folder / "predicted.jsonl"
    whole = record.read_bytes()
    record.write_bytes(whole[:cut])
    again = Predictions(folder, MAKER)
    known = [again.has(path.stem, (path,)) for path in sources[:2]]
    assert known == [json.dumps(name) in _whole_lines(whole[:cut]) for name in ("p0", "p1")]
    predict(again, sources[2])
    assert again.attempts() == {"p2": None}
    assert Predictions(folder, MAKER).has("p2", (sources[2],))


def _whole_lines(content: bytes) -> str:
    lines = []
    for line in content.split(b"\n"):
        try:
            lines.append(json.dumps(json.loads(line)["case"]))
        except (ValueError, KeyError):
            continue
    return " ".join(lines)


def test_the_table_of_all_joins_those_of_videos(sources: list[Path], tmp_path: Path) -> None:
    """Frames stand in the files of their cases; records of earlier versions hold them themselves."""
    made = Predictions(tmp_path / "out", MAKER)
    tables = [tmp_path / "out" / f"{name}.csv" for name in ("p0", "p1")]
    tables[0].parent.mkdir()
    for number, table in enumerate(tables):
        table.write_text(f'frame,time_s,predicted,a\n0,0.0,"a, b",0.{number}\n1,0.04,b,\n')
        made.add(f"p{number}", (sources[number],), Prediction((table,), table=table))
    with (tmp_path / "out" / "predicted.jsonl").open("a") as record:
        old = {"case": "p3", "files": [], "sources": [["p3.mp4", 1, 1]], "rows": [{"frame": 0, "a": 0.5}, {"frame": 1}]}
        record.write(json.dumps(old) + "\n")
    made.write_table()
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["case"], row["frame"], row["time_s"], row["predicted"], row["a"]) for row in rows] == [
        ("p0", "0", "0.0", "a, b", "0.0"),
        ("p0", "1", "0.04", "b", ""),
        ("p1", "0", "0.0", "a, b", "0.1"),
        ("p1", "1", "0.04", "b", ""),
        ("p3", "0", "", "", "0.5"),
        ("p3", "1", "", "", ""),
    ]
    assert rows[0]["path"] == str(sources[0])
    tables[0].unlink()
    made.write_table()
    assert "p0," not in (tmp_path / "out" / "predictions.csv").read_text()
