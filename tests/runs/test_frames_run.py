"""Slices with labels of their own, through the command line: trained, stopped and resumed, evaluated, predicted."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medvid.cli.main import main

pytest.importorskip("pydicom")

from medvid_rsna.bleeds import generate
from medvid_rsna.config import LABELS, BleedsOptions

TASK = """
name: heads
dataset: {name: rsna_hemorrhage, root: heads, size: [16, 16, 3], validation_fraction: 0.4, cache: cache}
backbone: {name: vit, img_size: [16, 16], patch_size: 8, embed_dim: 16, depth: 1, num_heads: 2}
head: frames
train: {steps: 4, batch_size: 4, optimizer: {name: adamw, lr: 1e-3}, precision: fp32, workers: 0, checkpoint_every: 2}
evaluation: {figures: 1, resamples: 5, protocol: rsna_hemorrhage}
"""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Iterator[Path]:
    """The working directory, with the data and a run."""
    folder = tmp_path_factory.mktemp("heads")
    generate(folder / "heads", BleedsOptions(patients=6, size=24, slices=(2, 6)))
    (folder / "task.yaml").write_text(TASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        patch.chdir(folder)
        assert main(["run", "task.yaml"]) == 0
        yield folder


def the_run() -> Path:
    [run] = Path("runs/heads").iterdir()
    return run


def test_a_row_for_each_slice_is_scored(trained: Path) -> None:
    run = trained / the_run()
    rows = rows_of(run / "cases.csv")
    assert {"case", "patient", "slice", "position_mm", "truth/any", "probability/any"} < set(rows[0])
    assert len({(row["case"], row["slice"]) for row in rows}) == len(rows)
    positions = [float(row["position_mm"]) for row in rows if row["case"] == rows[0]["case"]]
    assert positions == sorted(positions)
    assert ("auroc", "any") in {(row["figure"], row["of"]) for row in rows_of(run / "figures.csv")}
    assert "frames" in rows_of(run / "labels.csv")[0]
    assert (run / "figures" / f"{rows[0]['case']}.png").is_file()
    summary = json.loads((run / "summary.json").read_text())
    assert 0 < summary["metrics"]["weighted_log_loss"] < 2
    assert any("frames are embedded one by one, and each is answered once" in note for note in summary["notes"])


@pytest.mark.usefixtures("trained")
def test_another_evaluation_scores_the_same() -> None:
    run = the_run()
    assert main(["evaluate", str(run), "--set", "evaluation.window_batch=1"]) == 0
    [scored] = run.glob("evaluations/*/cases.csv")
    for row, wanted in zip(rows_of(scored), rows_of(run / "cases.csv"), strict=True):
        assert float(row["probability/any"]) == pytest.approx(float(wanted["probability/any"]), abs=1e-5)


@pytest.mark.usefixtures("trained")
def test_a_run_that_was_stopped_ends_with_the_same_weights() -> None:
    wanted = (max((the_run() / "checkpoints").iterdir()) / "model.safetensors").read_bytes()
    copy = Path("stopped/heads") / the_run().name
    shutil.copytree(the_run(), copy)
    for path in ("summary.json", "report.md", "cases.csv"):
        (copy / path).unlink(missing_ok=True)
    shutil.rmtree(max((copy / "checkpoints").iterdir()))
    assert main(["run", "--resume", str(copy)]) == 0
    last = max((copy / "checkpoints").iterdir())
    assert last.name == "step-00000004"
    assert (last / "model.safetensors").read_bytes() == wanted


def test_new_series_have_a_row_for_each_slice(trained: Path) -> None:
    run = the_run()
    assert main(["predict", str(run), "heads/stage_2_train", "-o", "out"]) == 0
    rows = rows_of(Path("out/predictions.csv"))
    assert len(rows) == len(list((trained / "heads/stage_2_train").iterdir()))
    assert list(rows[0]) == ["case", "path", "slice", "position_mm", *LABELS]
    one = rows_of(Path("out") / f"{rows[0]['case']}.csv")
    assert [row["any"] for row in one] == [row["any"] for row in rows if row["case"] == rows[0]["case"]]
    validated = {(row["case"], row["slice"]): float(row["probability/any"]) for row in rows_of(run / "cases.csv")}
    found = {(row["case"], row["slice"]): float(row["any"]) for row in rows}
    assert {where: found[where] for where in validated} == pytest.approx(validated)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("setting", "code", "reason"),
    [
        ("head=classification", 2, "head 'classification' predicts a class per case or labels per case, but data set"),
        ("dataset.augment=[flip]", 2, "it turns over the order of slices, but not that of their labels; set axes"),
        ("evaluation.protocol={name: rsna_hemorrhage, weights: {all: 2}}", 2, "weights has all, but the labels are"),
        ("train.balance=labels", 2, "is annotated with labels per frame, not with labels per case"),
        ("dataset.table=none.csv", 4, "none.csv cannot be read: No such file or directory"),
    ],
)
def test_what_does_not_fit_is_refused(setting: str, code: int, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "task.yaml", "--set", setting]) == code
    assert reason in " ".join(capfd.readouterr().err.split())


@pytest.mark.usefixtures("trained")
def test_features_of_each_slice(capsys: pytest.CaptureFixture[str]) -> None:
    run, rows = the_run(), rows_of(the_run() / "cases.csv")
    series = rows[0]["case"]
    new = Path("new series")
    new.mkdir()
    with (Path("heads") / "stage_2_train.csv").open() as file:
        assert file.readline()
    for path in sorted(Path("heads/stage_2_train").iterdir()):
        import pydicom

        if pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID == series:
            shutil.copy(path, new)
    assert main(["embed", str(run), str(new), "-o", "slices"]) == 0
    [file] = Path("slices").glob("*.npz")
    with np.load(file) as found:
        assert found["feats"].shape == (len(list(new.iterdir())), 16)
        assert (np.diff(found["position_mm"]) > 0).all()
        assert len(np.unique(found["feats"], axis=0)) == len(found["feats"])
    assert main(["embed", str(run), str(new), "--every", "1"]) == 2
    assert "this one answers each frame" in capsys.readouterr().err
