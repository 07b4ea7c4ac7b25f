"""What is refused changes nothing: the folder of the run stays as it was, byte for byte, whatever the refusal."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.runs.conftest import content_of, draw_images

import medvid
from medvid.cli.main import main
from medvid.runs.api import Run
from medvid.runs.folder import RunFolder
from medvid.runs.origin import read_origin


def change_data(_: RunFolder) -> None:
    draw_images(Path("own"), "a", seed=9)


def remove_case(_: RunFolder) -> None:
    for place in ("images", "masks"):
        Path("own", place, "a.png").unlink()


def other_plugin(folder: RunFolder) -> None:
    origin = read_origin(folder)
    assert origin
    replace(origin, plugins={**origin.plugins, "medvid": "99.0"}).write(folder.origin)


def other_option(folder: RunFolder) -> None:
    folder.resolved.write_text(folder.resolved.read_text().replace("steps: 3", "steps: 30"))


def damage_all(folder: RunFolder) -> None:
    for path in folder.checkpoints.glob("*/model.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])


def other_weights(folder: RunFolder) -> None:
    """Checkpoints of a network of another width, whole as they are."""
    wide = medvid.run("small.yaml", {"backbone.embed_dim": 32, "train.steps": 1, "output": "wide"})
    shutil.rmtree(folder.checkpoints)
    shutil.copytree(wide.folder.checkpoints, folder.checkpoints)


REFUSALS: dict[str, tuple[Callable[[RunFolder], object], int, str]] = {
    "data changed": (change_data, 4, "1 of 6 cases have another image or label now: a"),
    "case gone": (remove_case, 4, "a"),
    "data missing": (lambda _: shutil.rmtree("own"), 4, "dataset.root"),
    "plugin": (other_plugin, 3, "was 99.0 when the run started"),
    "option": (other_option, 2, "train.steps is 30, was 3"),
    "resolved.yaml damaged": (lambda folder: folder.resolved.write_bytes(b"\xff\xfe"), 2, "resolved.yaml"),
    "origin.json damaged": (lambda folder: folder.origin.write_bytes(b"{"), 4, "origin.json"),
    "origin.json missing": (lambda folder: folder.origin.unlink(), 4, "origin.json is missing"),
    "checkpoints damaged": (damage_all, 9, "none of the 3 checkpoints"),
    "checkpoints of another model": (other_weights, 9, "does not fit the model"),
}


@pytest.mark.parametrize(("damage", "code", "told"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_changes_nothing(
    small: Run, damage: Callable[[RunFolder], object], code: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(small.folder)
    before = content_of(small.folder.path)
    assert main(["run", "--resume", str(small.folder.path)]) == code
    assert told in capfd.readouterr().err
    assert content_of(small.folder.path) == before
    assert [path.name for path in small.folder.path.parent.iterdir()] == [small.folder.name]


def test_nor_does_one_of_a_run_that_is_in_use(small: Run, start: Callable[..., object]) -> None:
    before = content_of(small.folder.path)
    with small.folder.lock():
        resumed = start("run", "--resume", small.folder.path)
        output, _ = resumed.communicate(timeout=120)  # type: ignore[attr-defined]
        assert resumed.returncode == 7, output  # type: ignore[attr-defined]
    assert content_of(small.folder.path) == before


@pytest.mark.parametrize("command", [["run", "--resume"], ["evaluate"], ["predict"]], ids=" ".join)
def test_a_run_of_an_earlier_version_is_refused(
    command: list[str], working_directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = working_directory / "runs" / "tiny" / "early"
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "resolved_0_1.yaml", folder / "resolved.yaml")
    more = ["image.nii.gz", "-o", "predictions"] if command == ["predict"] else []
    before = content_of(working_directory)
    assert main([*command, str(folder), *more]) == 2
    error = capfd.readouterr().err
    assert f"{folder} was made by an earlier version of medvid" in error
    assert f"from {folder / 'task.yaml'}, in which platform check names what to rename" in error
    assert content_of(working_directory) == before


def test_a_finished_run_that_is_resumed_ends_as_it_was(small: Run) -> None:
    before = content_of(small.folder.path)
    metrics, summary = small.folder.metrics.read_bytes(), small.summary
    resumed = medvid.resume(small.folder.path)
    changed = {name for name, value in content_of(small.folder.path).items() if before.get(name) != value}
    assert changed <= {"run.log", "summary.json", "environment.json", "mlflow.json"} | {
        name for name in before if name.startswith("pictures/")
    }
    assert small.folder.metrics.read_bytes() == metrics
    told = ("status", "metrics", "best", "last", "step")
    assert {key: resumed.summary[key] for key in told} == {key: summary[key] for key in told}
