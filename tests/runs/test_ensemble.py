"""Several runs predict together."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medvid
from medvid.cli.main import main
from medvid.config.checked import check_task
from medvid.runs.api import Run
from medvid.runs.ensemble import why_apart


@pytest.fixture
def other(small: Run) -> Run:  # noqa: ARG001 (made in its directory)
    """A second run, of another seed."""
    return medvid.run("small.yaml", ["seed=2", "evaluation.every=null", "evaluation.figures=0"])


def test_the_answers_of_runs_are_averaged(small: Run, other: Run, capsys: pytest.CaptureFixture[str]) -> None:
    runs, images = [str(run.folder.path) for run in (small, other)], "own/images"
    for number, run in enumerate(runs):
        assert main(["predict", run, images, "-o", f"out/{number}", "--probabilities"]) == 0
    for average in ("probabilities", "logits"):
        asked = ["--average", average, "--probabilities"]
        assert main(["predict", *runs, images, "-o", f"out/{average}", *asked]) == 0
    one, two, mean, of_logits = (probabilities(Path("out") / name) for name in ("0", "1", "probabilities", "logits"))
    assert np.abs(one - two).max() > 2 / 255, "otherwise this test shows nothing"
    np.testing.assert_allclose(mean, (one + two) / 2, atol=1.1 / 255)
    assert np.all((of_logits >= np.minimum(one, two) - 1.1 / 255) & (of_logits <= np.maximum(one, two) + 1.1 / 255))

    record = json.loads(Path("out/logits/predictions.json").read_text())
    assert (record["run"], record["average"]) == (small.folder.name, "logits")
    assert [each["run"] for each in record["with"]] == [other.folder.name]
    assert main(["predict", *runs, images, "-o", "out/default"]) == 0  # of one kind, so logits
    assert json.loads(Path("out/default/predictions.json").read_text())["average"] == "logits"

    assert main(["predict", *runs, images, "-o", "out/0"]) == 2  # what one of them has predicted is not continued
    assert main(["predict", runs[0], *runs, images, "-o", "out/twice"]) == 2
    assert "is given twice" in capsys.readouterr().err
    assert main(["predict", *runs]) == 2
    assert "there are only run folders" in capsys.readouterr().err


def probabilities(folder: Path) -> np.ndarray:
    """Of the background, which is on the first page."""
    found = []
    for path in sorted((folder / "probabilities").iterdir()):
        with Image.open(path) as pages:
            found.append(np.asarray(pages, float) / 255)
    return np.stack(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["dataset.size=[24, 24]", "backbone.img_size=[24, 24]"], "its inputs are images of 24 x 24 with"),
        (["dataset.window=[0, 90]"], "its inputs are prepared otherwise: dataset.window is"),
        (["train.steps=5", "backbone.depth=3", "dataset.augment=[]", "dataset.split_seed=4"], ""),
    ],
)
def test_what_cannot_be_averaged_is_refused(small: Run, changes: list[str], reason: str) -> None:
    ours, theirs = (check_task(small.task(overrides), small.host) for overrides in ([], changes))
    assert why_apart(ours, theirs).startswith(reason)
    assert bool(why_apart(ours, theirs)) == bool(reason)
