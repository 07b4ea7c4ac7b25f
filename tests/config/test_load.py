import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.config.load import data_problem, dump_task, load_task
from medvid.config.sample import sample_folder
from medvid.config.task import AppliedSample, Poly, Task, WarmupCosine
from medvid.errors import ConfigError, PluginError

TASKS = sorted((Path(__file__).parents[2] / "tasks").glob("*.yaml"))
TASK = (Path(__file__).parent / "toy.yaml").read_text()

Load = Callable[..., Task]


def problems(load: Load, text: str = TASK, **options: Any) -> list[str]:
    """The lines of the error that loading ends in."""
    with pytest.raises(ConfigError) as caught:
        load(text, **options)
    first, *others = str(caught.value).splitlines()
    return [line.strip() for line in others] or [first]


def test_a_task_is_validated_by_its_components(load: Load) -> None:
    task = load()
    assert type(task.backbone).__name__ == "NetOptions"
    assert task.backbone.model_dump() == {"name": "net", "weights": None, "width": 16, "sizes": (), "norm": "batch"}
    assert task.train.optimizer.lr == 1e-4
    assert task.evaluation.split == "validation"
    assert task.sample is None


ONE_PROBLEM = {
    "  width: 16": {
        "  widht: 16": "task.yaml:7:3: backbone.widht: unknown key; did you mean 'width'?",
        "  width: abc": "task.yaml:7:3: backbone.width: should be a valid integer, got 'abc'",
        "  width: -1": "task.yaml:7:3: backbone.width: should be greater than 0, got -1",
        "  width: 7": "task.yaml:5:1: backbone: width (7) has to be even",
        "  width: 8\n  width: 8": "task.yaml:8:3: backbone.width: given twice, first at task.yaml:7:3",
        "  width: ${NO_WIDTH}": "task.yaml:7:10: backbone.width: the environment variable NO_WIDTH is not set; "
        "set it, or write ${NO_WIDTH:-default}",
        "  sizes: [1, x]": "task.yaml:7:14: backbone.sizes.1: should be a valid integer, got 'x'",
        "  norm: bacth": "task.yaml:7:3: backbone.norm: should be 'batch' or 'layer' or a valid integer, got 'bacth'; "
        "did you mean 'batch'?",
        "  weights: {source: hub}": "task.yaml:7:3: backbone.weights.path: missing",
        "  weights: {source: hubb, path: x}": "task.yaml:7:13: backbone.weights.source: should be 'hub', got 'hubb'; "
        "did you mean 'hub'?",
        "  _target_: os.system": "task.yaml:7:3: backbone._target_: unknown key",
    },
    "  name: net": {
        "  name: nett": "task.yaml:6:3: backbone.name: no backbone named 'nett'; did you mean 'net'? enabled: both, "
        "clumsy, flat, gone, net, othernet, unfit",
        "  name: 3": "task.yaml:6:3: backbone.name: should name a backbone, one of: both, clumsy, flat, gone, net, "
        "othernet, unfit",
    },
    "head: {name: pixel}": {
        "head: pixel": "task.yaml:8:1: head: should be a block of options with a name, got 'pixel'",
        "": "task.yaml:1:1: head.name: should name a head, one of: pixel, pooled, still",
        "head: {name: pixel}\nplugins: [evil]": "task.yaml:9:1: plugins: unknown key",
        "head: {name: pixel}\nevaluation: {overlap: 1}": "task.yaml:9:14: evaluation.overlap: should be less than 1, "
        "got 1",
    },
    "  optimizer: {name: adamw, lr: 1e-4}": {
        "  optimizer: {name: adamv, lr: 1}": "task.yaml:12:15: train.optimizer.name: should be one of 'adamw', 'adam', "
        "'sgd', got 'adamv'; did you mean 'adam'?",
        "  optimizer: {lr: 1}": "task.yaml:12:3: train.optimizer.name: missing",
        "  optimizer: {name: sgd, lr: 1, momentun: 0}": "task.yaml:12:33: train.optimizer.momentun: unknown key; "
        "did you mean 'momentum'?",
        "  optimizer: sgd": "task.yaml:12:3: train.optimizer: should be a block of options, got 'sgd'",
        "": "task.yaml:9:1: train.optimizer: missing",
    },
    "warmup_steps: 2": {
        "warmup_steps: 20": "task.yaml:1:1: train.schedule.warmup_steps is 20, more than train.steps (10): the peak "
        "rate would never be reached; set it lower too",
    },
    "sample:": {"sample:\n  trian: {}": "task.yaml:15:3: sample.trian: unknown key; did you mean 'train'?"},
}


@pytest.mark.parametrize(
    ("old", "new", "line"), [(old, new, line) for old, cases in ONE_PROBLEM.items() for new, line in cases.items()]
)
def test_a_problem_is_named_with_its_place_and_what_was_meant(load: Load, old: str, new: str, line: str) -> None:
    assert old in TASK
    assert problems(load, TASK.replace(old, new)) == [line]


def test_all_problems_come_at_once(load: Load) -> None:
    text = TASK.replace("width: 16", "widht: 16").replace("name: toy", "name: a b").replace("pixel", "pixl")
    lines = problems(load, text, overrides=["train.stepz=3", "dataset.roots=4"])
    assert [line.partition(": ")[0] for line in lines] == [
        "task.yaml:1:1", "task.yaml:7:3", "task.yaml:8:8", "--set dataset.roots=4", "--set train.stepz=3",
    ]  # fmt: skip
    assert lines[-1] == "--set train.stepz=3: train.stepz: unknown key; did you mean 'steps'?"


def test_a_component_that_cannot_be_used_is_its_plugins_fault(load: Load) -> None:
    for name, fault in {
        "clumsy": r"plugin toy of toy 1\.0 failed to check the options: KeyError: 'bug' \(.*toy_components\.py:\d+\)",
        "gone": r"'gone' cannot be loaded from plugin toy of toy 1\.0: ImportError",
        "unfit": "toy_components:NoOptions is no BackboneOptions",
    }.items():
        with pytest.raises(PluginError, match=fault):
            load(overrides={"backbone": {"name": name}})


def test_overrides_win_and_another_name_replaces_the_options(load: Load) -> None:
    task = load(overrides=["train.steps=20", "backbone.name=othernet", "train.schedule={name: poly, power: 1}"])
    assert task.train.steps == 20
    assert task.backbone.model_dump() == {"name": "othernet", "weights": None, "depth": 2}
    assert task.train.schedule == Poly(name="poly", power=1)


@pytest.mark.parametrize("text", ["\udcff\udcfe", None])
def test_a_file_that_cannot_be_read(host: Any, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "task.yaml"
    if text:
        file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"task\.yaml"):
        load_task(file, host)


def test_the_sample_is_an_overlay_under_the_overrides(load: Load) -> None:
    task = load(sample=True, overrides=["train.steps=7", "sample.generate.cases=5"])
    assert task.train.steps == 7
    assert task.train.batch_size == 1
    assert task.train.schedule == Poly(name="poly")
    assert task.dataset.model_dump()["patch"] == (2, 2, 2)
    assert task.sample == AppliedSample(applied=True, generate={"cases": 5, "shape": [8, 8, 8]})
    assert task.dataset.root == sample_folder(task.dataset, task.sample.generate)


def test_the_sample_stands_in_for_missing_data_only_where_the_task_says_so(load: Load, tmp_path: Path) -> None:
    falling_back = TASK.replace("root: data", "root: data\n  if_missing: sample")
    assert load().sample is None
    assert load(falling_back).sample is not None
    assert load(falling_back, overrides=["dataset.if_missing=error"]).sample is None
    (tmp_path / "data").mkdir()
    task = load(falling_back)
    assert task.sample is None
    assert isinstance(task.train.schedule, WarmupCosine)
    assert load(falling_back, sample=True).sample is not None
    assert load(falling_back, overrides=["dataset.root=~/gone"]).sample is not None


def test_a_sample_needs_a_generator(load: Load) -> None:
    overrides = {"dataset": {"name": "clips", "root": "."}}
    assert problems(load, overrides=overrides, sample=True) == [
        "--set dataset={'name': 'clips', 'root': '.'}: dataset.name: there is no sample of 'clips': it has no generator"
    ]


def test_generator_options_are_checked(load: Load) -> None:
    assert problems(load, TASK.replace("cases: 2", "case: 2"), sample=True) == [
        "task.yaml:15:14: sample.generate.case: unknown key; did you mean 'cases'?"
    ]


def test_other_generator_options_are_another_folder(load: Load, tmp_path: Path) -> None:
    roots = {load(sample=True, overrides=[f"sample.generate.cases={n}"]).dataset.root for n in (1, 2, 2)}
    assert len(roots) == 2
    for root in roots:
        assert root.parent == tmp_path / "home" / ".cache" / "medvid" / "samples"
        assert root.name.startswith("scans-")


@pytest.mark.parametrize("sample", [False, True])
def test_a_dumped_task_loads_back_equal(load: Load, tmp_path: Path, sample: bool) -> None:
    awkward = {
        "a": "1e3",
        "b": "no",
        "c": "${HOME}",
        "d": "null",
        "e": " x: #\n y",
        "f": "ü☺",
        "g": "$${A}",
        "h": "1_0",
    }
    overrides = {"tracking.tags": awkward, "backbone.weights": {"source": "hub", "path": "~/w.pt"}}
    text = TASK.replace("root: data", "root: data\n  if_missing: sample")
    (tmp_path / "data").mkdir()
    task = load(text, sample=sample, overrides=overrides)
    (tmp_path / "data").rmdir()  # a decision that was taken is not taken again
    assert load(dump_task(task)) == task
    assert task.tracking.tags == awkward
    assert (task.sample is not None) == sample


def test_a_resolved_sample_task_pointed_at_data_is_no_longer_a_sample(load: Load) -> None:
    text = dump_task(load(sample=True))
    assert load(text, overrides=["train.steps=6"]).sample is not None
    task = load(text, overrides=["dataset.root=data"])
    assert (task.sample, task.dataset.root) == (None, Path("data"))


def test_paths_know_the_home_folder(load: Load, tmp_path: Path) -> None:
    home = tmp_path / "home"
    task = load(
        overrides={
            "dataset.root": "~/data",
            "output": "~/runs",
            "backbone.weights": {"source": "hub", "path": Path("~/w.pt")},
        }
    )
    assert (task.dataset.root, task.output) == (home / "data", home / "runs")
    assert task.dataset.cache == home / ".cache" / "medvid"
    assert task.backbone.weights is not None
    assert task.backbone.weights.path == home / "w.pt"


def test_missing_data_is_a_problem_of_the_run_not_of_the_file(load: Load, tmp_path: Path) -> None:
    assert data_problem(load()) == "dataset.root, the folder of 'scans', does not exist: data"
    assert data_problem(load(sample=True)) is None
    (tmp_path / "data").touch()
    assert data_problem(load()) == "dataset.root, the folder of 'scans', is not a folder: data"
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    assert data_problem(load()) is None


@pytest.mark.parametrize("task", TASKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("sample", [False, True])
def test_every_shipped_task_is_valid(task: Path, sample: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medvid.config.compatibility import check_compatible
    from medvid.plugin.host import make_host

    monkeypatch.chdir(tmp_path)
    host = make_host()
    overrides = [] if sample else ["dataset.if_missing=error"]
    if "kinetics" in task.stem:  # its classes are the folders of the data set, which is not here
        overrides.append("dataset.classes=[jumping, swimming]")
    loaded = load_task(task, host, sample=sample, overrides=overrides)
    check_compatible(loaded, host)
    (tmp_path / "resolved.yaml").write_text(dump_task(loaded))
    assert load_task(tmp_path / "resolved.yaml", host) == loaded


SCRIPT = """
import sys, time
from pathlib import Path
began = time.process_time()
from medvid.config.load import load_task
from medvid.errors import ConfigError
from medvid.plugin.host import make_host
try:
    load_task(Path(sys.argv[1]), make_host(), overrides=["train.stepz=1"])
except ConfigError as error:
    print(error)
heavy = {"torch", "numpy", "monai", "mlflow", "nibabel", "scipy"} & set(sys.modules)
print(time.process_time() - began, *heavy)
"""


def test_a_broken_task_is_refused_before_anything_heavy_is_imported() -> None:
    command = [sys.executable, "-c", SCRIPT, str(TASKS[0])]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout.splitlines()
    seconds, *heavy = shown[-1].split()
    assert shown[0].endswith("train.stepz: unknown key; did you mean 'steps'?")
    assert heavy == []
    assert float(seconds) < 2


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "inf", "1e999"])
def test_numbers_have_to_be_finite(load: Load, value: str) -> None:
    [problem] = problems(load, TASK.replace("lr: 1e-4", f"lr: {value}"))
    assert "train.optimizer.lr: should be a finite number" in problem
    [problem] = problems(load, overrides=[f"train.optimizer.lr={value}"])
    assert "should be a finite number" in problem


@pytest.mark.parametrize("task", TASKS, ids=lambda path: path.stem)
def test_every_number_of_every_shipped_task_has_to_be_finite(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medvid.plugin.host import make_host

    monkeypatch.chdir(tmp_path)
    dumped = load_task(task, make_host()).model_dump(mode="json")
    blocks = ("dataset", "backbone", "head", "train", "evaluation")
    floats = {path for block in blocks for path in _floats(dumped[block], block)}
    assert "train.optimizer.lr" in floats
    with pytest.raises(ConfigError) as caught:
        load_task(task, make_host(), overrides=dict.fromkeys(floats, float("inf")))
    refused = {line.strip().split(": ")[1] for line in str(caught.value).splitlines() if "finite" in line}
    assert refused == floats


def _floats(block: dict[str, Any], path: str) -> list[str]:
    """Keys of the floats in a block, without those in lists, which cannot be overridden one by one."""
    found = []
    for key, value in block.items():
        if isinstance(value, dict):
            found += _floats(value, f"{path}.{key}")
        elif isinstance(value, float):
            found.append(f"{path}.{key}")
    return found
