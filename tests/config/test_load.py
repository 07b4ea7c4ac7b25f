import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.config.demo import demo_folder
from medvid.config.early import check_data
from medvid.config.load import dump_task, load_task
from medvid.config.task import AppliedDemo, Poly, Task, TrainOptions, WarmupCosine
from medvid.errors import ConfigError, DataError, PluginError
from medvid.redaction import is_secret_variable

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
    assert task.demo is None


ONE_PROBLEM = {
    "  width: 16": {
        "  widht: 16": "task.yaml:7:3: backbone.widht: unknown key; did you mean 'width'?",
        "  width: abc": "task.yaml:7:3: backbone.width: should be a whole number, got 'abc'",
        "  width: -1": "task.yaml:7:3: backbone.width: should be greater than 0, got -1",
        "  width: 7": "task.yaml:5:1: backbone: width (7) has to be even",
        "  width: 8\n  width: 8": "task.yaml:8:3: backbone.width: given twice, first at task.yaml:7:3",
        "  width: ${NO_WIDTH}": "task.yaml:7:10: backbone.width: the environment variable NO_WIDTH is not set; "
        "set it, or write ${NO_WIDTH:-default}",
        "  sizes: [1, x]": "task.yaml:7:14: backbone.sizes.1: should be a whole number, got 'x'",
        "  norm: bacth": "task.yaml:7:3: backbone.norm: should be 'batch' or 'layer' or a whole number, got 'bacth'; "
        "did you mean 'batch'?",
        "  weights: {source: hub}": "task.yaml:7:3: backbone.weights.path: missing",
        "  weights: {source: hubb, path: x}": "task.yaml:7:13: backbone.weights.source: should be 'hub', got 'hubb'; "
        "did you mean 'hub'?",
        "  _target_: os.system": "task.yaml:7:3: backbone._target_: unknown key; there are: name, weights, width, "
        "sizes, norm",
    },
    "  name: net": {
        "  name: nett": "task.yaml:6:3: backbone.name: no backbone named 'nett'; did you mean 'net'? enabled: both, "
        "clumsy, flat, gone, net, othernet, unfit",
        "  name: 3": "task.yaml:6:3: backbone.name: should name a backbone, one of: both, clumsy, flat, gone, net, "
        "othernet, unfit",
    },
    "head: {name: pixel}": {
        "head: 3": "task.yaml:8:1: head: should be a block of options with a name, got 3",
        "head: pixl": "task.yaml:8:1: head.name: no head named 'pixl'; did you mean 'pixel'? enabled: pixel, pooled, "
        "still",
        "": "task.yaml:1:1: head.name: should name a head, one of: pixel, pooled, still",
        "head: {name: pixel}\nplugins: [evil]": "task.yaml:9:1: plugins: unknown key; there are: name, about, "
        "seed, output, dataset, backbone, head, train, evaluation, tracking, privacy, demo",
        "head: {name: pixel}\nevaluation: {overlap: 1}": "task.yaml:9:14: evaluation.overlap: should be less than 1, "
        "got 1",
    },
    "  optimizer: {name: adamw, lr: 1e-4}": {
        "  optimizer: {name: adamv, lr: 1}": "task.yaml:12:15: train.optimizer.name: no optimizer named 'adamv'; "
        "did you mean 'adamw'? enabled: adam, adamw, sgd",
        "  optimizer: {lr: 1}": "task.yaml:12:3: train.optimizer.name: should name an optimizer, one of: "
        "adam, adamw, sgd",
        "  optimizer: {name: sgd, lr: 1, momentun: 0}": "task.yaml:12:33: train.optimizer.momentun: unknown key; "
        "did you mean 'momentum'?",
        "  optimizer: sgd": "task.yaml:12:3: train.optimizer.lr: missing",
        "": "task.yaml:9:1: train.optimizer: missing",
    },
    "warmup_steps: 2": {
        "warmup_steps: 20": "task.yaml:1:1: train.schedule.warmup_steps is 20, more than train.steps (10): the peak "
        "rate would never be reached; set it lower too",
    },
    "demo:": {"demo:\n  trian: {}": "task.yaml:15:3: demo.trian: unknown key; did you mean 'train'?"},
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


OF_EARLIER_VERSIONS = {
    "demo:": {"sample:": "task.yaml:14:1: sample: is called `demo` now; rename the block"},
    "  root: data": {
        "  root: data\n  layout: nnunet": "task.yaml:5:3: dataset.layout: is called `folder_layout` now; "
        "rename the key",
        "  root: data\n  if_missing: sample": "task.yaml:5:3: dataset.if_missing: `sample` is called `demo` now",
    },
    "    patch: [2, 2, 2]": {
        "    layout: nnunet": "task.yaml:17:5: dataset.layout: is called `folder_layout` now; rename the key"
    },
}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [(old, new, line) for old, cases in OF_EARLIER_VERSIONS.items() for new, line in cases.items()],
)
def test_what_was_renamed_is_named(load: Load, old: str, new: str, line: str) -> None:
    assert old in TASK
    assert line in problems(load, TASK.replace(old, new), demo=old.startswith("    "))


def test_what_became_an_option_of_the_protocol_is_named() -> None:
    from medvid.plugin.host import make_host

    host, path = make_host(), TASKS[0].parent / "unetr_btcv.yaml"
    with pytest.raises(ConfigError, match=r"evaluation\.tolerance: is an option of the protocol now") as raised:
        load_task(path, host, overrides=["evaluation.tolerance=3"])
    assert "`protocol: {name: medvid, tolerance: ...}`" in str(raised.value)
    load_task(path, host, overrides=["evaluation.protocol={name: medvid, tolerance: 3}"])


def test_a_component_that_cannot_be_used_is_its_plugins_fault(load: Load) -> None:
    for name, fault in {
        "clumsy": r"plugin toy of toy 1\.0 failed to check the options: KeyError: 'bug' \(.*toy_components\.py:\d+\)",
        "gone": r"'gone' cannot be loaded from plugin toy of toy 1\.0: ImportError",
        "unfit": "toy_components:NoOptions is not a BackboneOptions",
    }.items():
        with pytest.raises(PluginError, match=fault):
            load(overrides={"backbone": {"name": name}})


def test_a_bare_name_is_short_for_a_block(load: Load) -> None:
    bare = load(TASK.replace("head: {name: pixel}", "head: pixel"))
    assert bare == load()
    assert load(
        TASK.replace("head: {name: pixel}", "head: pixel"), overrides=["head.bias=false"]
    ).head == bare.head.model_copy(update={"bias": False})


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


def test_the_demo_is_an_overlay_under_the_overrides(load: Load) -> None:
    task = load(demo=True, overrides=["train.steps=7", "demo.generate.cases=5"])
    assert task.train.steps == 7
    assert task.train.batch_size == 1
    assert task.train.schedule == Poly(name="poly")
    assert task.dataset.model_dump()["patch"] == (2, 2, 2)
    assert task.demo == AppliedDemo(applied=True, generate={"cases": 5, "shape": [8, 8, 8]})
    assert task.dataset.root == demo_folder(task.dataset, task.demo.generate)


def test_the_demo_stands_in_for_missing_data_only_where_the_task_says_so(load: Load, tmp_path: Path) -> None:
    falling_back = TASK.replace("root: data", "root: data\n  if_missing: demo")
    assert load().demo is None
    assert load(falling_back).demo is not None
    assert load(falling_back, overrides=["dataset.if_missing=error"]).demo is None
    (tmp_path / "data").mkdir()
    task = load(falling_back)
    assert task.demo is None
    assert isinstance(task.train.schedule, WarmupCosine)
    assert load(falling_back, demo=True).demo is not None
    assert load(falling_back, overrides=["dataset.root=~/gone"]).demo is not None


def test_a_demo_needs_a_generator(load: Load) -> None:
    overrides = {"dataset": {"name": "clips", "root": "."}}
    assert problems(load, overrides=overrides, demo=True) == [
        "--set dataset={'name': 'clips', 'root': '.'}: dataset.name: "
        "data set 'clips' has no demo data: it has no generator"
    ]


def test_generator_options_are_checked(load: Load) -> None:
    assert problems(load, TASK.replace("cases: 2", "case: 2"), demo=True) == [
        "task.yaml:15:14: demo.generate.case: unknown key; did you mean 'cases'?"
    ]


def test_other_generator_options_are_another_folder(load: Load, tmp_path: Path) -> None:
    roots = {load(demo=True, overrides=[f"demo.generate.cases={n}"]).dataset.root for n in (1, 2, 2)}
    assert len(roots) == 2
    for root in roots:
        assert root.parent == tmp_path / "home" / ".cache" / "medvid" / "demos"
        assert root.name.startswith("scans-")


@pytest.mark.parametrize("demo", [False, True])
def test_a_dumped_task_loads_back_equal(load: Load, tmp_path: Path, demo: bool) -> None:
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
    text = TASK.replace("root: data", "root: data\n  if_missing: demo")
    (tmp_path / "data").mkdir()
    task = load(text, demo=demo, overrides=overrides)
    (tmp_path / "data").rmdir()  # a decision that was taken is not taken again
    assert load(dump_task(task)) == task
    assert task.tracking.tags == awkward
    assert (task.demo is not None) == demo


def test_a_secret_of_the_environment_is_written_as_its_variable(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary-0123456789")
    monkeypatch.setenv("LAB", "ours, and known to all")
    tags = {"note": "key ${WANDB_API_KEY}.", "lab": "${LAB}"}
    text = f"{TASK}tracking:\n  tags: {{note: 'key ${{WANDB_API_KEY}}.', lab: '${{LAB}}'}}\n"
    task = load(text, overrides=["tracking.experiment=canary-0123456789"])  # as a shell puts it in
    assert task.tracking.tags["note"] == "key canary-0123456789."
    written = dump_task(task)
    assert "canary" not in written
    assert tags["note"] in written
    assert "ours, and known to all" in written
    assert load(written) == task
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(ConfigError, match="the environment variable WANDB_API_KEY is not set"):
        load(written)


def test_a_secret_that_is_too_short_to_be_hidden_is_refused(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "abc")
    with pytest.raises(ConfigError, match="DB_PASSWORD holds a secret by its name, too short"):
        load(TASK + "tracking: {tags: {note: '${DB_PASSWORD}'}}\n")


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASS", "PGPASSWORD", "MY_CREDENTIALS"],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_variable(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "PATH", "HOME", "BTCV_ROOT", "XAUTHORITY", "KEYBOARD"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_variable(name)


def test_a_resolved_demo_task_pointed_at_data_is_no_longer_a_demo(load: Load) -> None:
    text = dump_task(load(demo=True))
    assert load(text, overrides=["train.steps=6"]).demo is not None
    task = load(text, overrides=["dataset.root=data"])
    assert (task.demo, task.dataset.root) == (None, Path("data"))


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
    with pytest.raises(DataError, match=r"dataset\.root, the folder of 'scans', does not exist: data"):
        check_data(load())
    check_data(load(demo=True))
    (tmp_path / "data").touch()
    with pytest.raises(DataError, match=r"dataset\.root, the folder of 'scans', is not a folder: data"):
        check_data(load())
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    check_data(load())


@pytest.mark.parametrize("task", TASKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("demo", [False, True])
def test_every_shipped_task_is_valid(task: Path, demo: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medvid.config.checked import check_task
    from medvid.plugin.host import make_host

    monkeypatch.chdir(tmp_path)
    host = make_host()
    overrides = [] if demo else ["dataset.if_missing=error"]
    if task.stem.endswith(("kinetics", "charades")):  # its classes are those of the data set, which is not here
        overrides.append("dataset.classes=[jumping, swimming]")
    loaded = load_task(task, host, demo=demo, overrides=overrides)
    check_task(loaded, host)
    on_one_device = loaded.train.batch_size * loaded.train.accumulate
    assert loaded.train.base_batch_size == (None if demo else on_one_device)
    (tmp_path / "resolved.yaml").write_text(dump_task(loaded))
    assert load_task(tmp_path / "resolved.yaml", host) == loaded


PLAIN = {
    "train.optimizer.betas=0.9": "should be a list of 2 values, e.g. [0.9, 0.9], got 0.9",
    "train.optimizer.betas=[0.9]": "should be a list of 2 values, got [0.9]",
    "train.optimizer.betas=[0.9, 0.9, 0.9]": "should be a list of 2 values, got [0.9, 0.9, 0.9]",
    "train.freeze=backbone.*": "should be a list, e.g. [backbone.*], got 'backbone.*'",
    "train.steps=1.5": "should be a whole number, got 1.5",
    "seed=true": "should not be true",
    "train.steps=": "should be a whole number, got nothing",
    "train.optimizer.betas=[true, 0.9]": "should not be true",
    "train.optimizer.lr=fast": "should be a number, got 'fast'",
    "train.optimizer.lr=-1": "should be greater than 0, got -1",
    "train.deterministic=2": "should be true or false, got 2",
    "train.compile=2": "should be true or false or 'default', 'reduce-overhead' or 'max-autotune', got 2",
    "seed=-1": "should be 0 or more, got -1",
    "name=3": "should be text: write it in quotes, got 3",
    "name=my task": "should be letters, digits and . _ - only, a letter or digit first, got 'my task'",
    "output=[a]": "should be a path, got ['a']",
    "tracking.tags=[a]": "should be a block of options, got ['a']",
    "tracking.tags={data: real}": "medvid sets the tag 'data' itself: choose another name",
    "train.accelerator=gpu": "should be 'auto', 'cpu', 'cuda' or 'mps', got 'gpu'",
    "train.optimizer.name=adamW": "no optimizer named 'adamW'; did you mean 'adamw'? enabled: adam, adamw, sgd",
    "backbone.name=NET": "no backbone named 'NET'; did you mean 'net'? enabled: both, clumsy, flat, gone, net, "
    "othernet, unfit",
}


@pytest.mark.parametrize("override", PLAIN)
def test_what_is_wrong_is_said_in_plain_words(load: Load, override: str) -> None:
    [problem] = problems(load, overrides=[override])
    assert problem.startswith(f"--set {override}: {override.partition('=')[0]}")
    assert problem.partition(override)[2].partition(": ")[2].partition(": ")[2] == PLAIN[override]


def test_no_message_speaks_of_python(load: Load) -> None:
    """Any value for any option: what is said has no word of a language that users need not know."""
    values = ["4", "[1]", "{a: 1}", "x", "true", "", "-1", "1.5", ".nan", "[[1]]", "''"]
    keys = ["name", "seed", "output", "dataset", "backbone", "head", "train", "evaluation", "tracking", "demo"]
    keys += [f"train.{name}" for name in TrainOptions.model_fields]
    keys += ["dataset.root", "backbone.width", "backbone.sizes", "backbone.norm", "backbone.weights", "tracking.tags"]
    for override in [f"{key}={value}" for key in keys for value in values]:
        try:
            load(overrides=[override])
        except ConfigError as error:
            said = str(error).replace(override, "")
            assert not re.search(
                r"\b(tuple|dict|dictionary|list\[|None|True|False|<class|valid|[Ii]nput|str|int)\b", said
            ), said


def test_a_block_that_is_set_takes_the_place_of_the_file_s(load: Load) -> None:
    assert load().backbone.width == 16
    assert load(overrides=["backbone={name: net, sizes: [2]}"]).backbone.width == 8
    assert load(overrides=["backbone.sizes=[2]"]).backbone.width == 16
    with pytest.raises(ConfigError, match=r"train.steps: missing") as caught:
        load(overrides=["train={batch_size: 2}"])
    assert caught.value.hint == ("--set train gives the whole block; to change an option in it: --set train.KEY=VALUE")


SCRIPT = """
import sys
from medvid.cli.main import main
code = main(["run", *sys.argv[1:]])
heavy = {"torch", "numpy", "monai", "mlflow", "nibabel", "scipy"} & set(sys.modules)
print(code, *heavy)
"""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train.stepz=1"], 2, "train.stepz: unknown key; did you mean 'steps'?"),
        (["dataset.root=absent", "dataset.if_missing=error"], 4, "does not exist: absent"),
        (["dataset.root=.", "backbone.weights={source: monai, path: absent.pt}"], 9, "absent.pt: no such file"),
        (["dataset.root=.", "output=task.yaml"], 6, "cannot write task.yaml: a file is in the way"),
        (["dataset.root=.", "dataset.cache=/proc/absent"], 6, "cannot write /proc/absent: permission denied"),
        (
            ["dataset.root=.", "head={name: classification}", "evaluation={every: 9}"],
            2,
            "head 'classification' predicts a class per case",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_heavy_is_imported(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "task.yaml").write_text(next(task for task in TASKS if task.stem == "unetr_btcv").read_text())
    options = [part for argument in arguments for part in ("--set", argument)]
    command = [sys.executable, "-c", SCRIPT, "task.yaml", *options]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=os.environ)
    found, *heavy = shown.stdout.splitlines()[-1].split()
    assert (int(found), heavy) == (code, [])
    assert said in shown.stderr
