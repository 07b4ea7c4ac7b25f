"""Every hook is documented and tested, and is called as docs/hooks.md says. A run of seconds tells all of them."""

import inspect
import math
import multiprocessing
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
import torch

from medvid.config.early import check_run
from medvid.config.load import load_task
from medvid.errors import ConfigError, NumericError
from medvid.plugin import Evaluation, RunInfo, hookimpl, hookspecs
from medvid.plugin.allowlist import AllowList, read_allow_list
from medvid.plugin.discovery import discover
from medvid.plugin.host import Host
from medvid.plugin.loading import HOOKS, load_plugin
from medvid.plugin.markers import PROJECT
from medvid.runs.execute import run_task

REPOSITORY = Path(__file__).parents[2]
DOCUMENTATION = (REPOSITORY / "docs" / "hooks.md").read_text()
TINY = REPOSITORY / "tests" / "runs" / "tiny.yaml"
STEPS, LOGGED, VALIDATED = 7, [2, 3, 4, 6, 7], [6, 7]

Call = tuple[str, Mapping[str, Any]]


class Recorder:
    """An observer of everything; notes the arguments of each call, and what of the run was on disk then."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.files: dict[str, set[str]] = {}
        for hook in HOOKS:
            setattr(self, hook, hookimpl(self._observer(hook)))

    def _observer(self, hook: str) -> Any:
        names = list(inspect.signature(getattr(hookspecs, hook)).parameters)

        def observe(**arguments: Any) -> None:
            self.calls.append((hook, arguments))
            self.files[hook] = {path.name for path in arguments["run"].folder.glob("*")}

        code = f"lambda {', '.join(names)}: observe({', '.join(f'{name}={name}' for name in names)})"
        return eval(code, {"observe": observe}) if names else lambda: []  # pluggy reads the names of the arguments

    def of(self, hook: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(**arguments) for called, arguments in self.calls if called == hook]


def run_tiny(*observers: object, overrides: Mapping[str, object] | None = None) -> None:
    """Run the tiny task with observers that no distribution brings."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = tuple(load_plugin(manager, plugin) for plugin in discover(AllowList()))
    for observer in observers:
        manager.register(observer, name=type(observer).__name__)
    host = Host(AllowList(), manager, plugins)
    run_task(check_run(load_task(TINY, host, overrides=overrides or {}), host), TINY.read_text())


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Recorder:
    """What was told of one run; tests only read it."""
    found = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("told"))
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        run_tiny(found)
    return found


def section(hook: str) -> str:
    """What docs/hooks.md says of a hook, its heading first."""
    return next(part for part in DOCUMENTATION.split("\n### ") if part.startswith(f"{hook}("))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook: str) -> None:
    names = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    text = section(hook)
    assert text.startswith(f"{hook}({names})\n")
    for said in (r"\bWhen: ", r"[Rr]ank", r"\braise|\bveto|exception"):
        assert re.search(said, text), said
    assert getattr(hookspecs, hook).__doc__
    assert f"| `{hook}` |" in DOCUMENTATION


def test_nothing_is_documented_that_is_no_hook() -> None:
    assert set(re.findall(r"`(medvid_\w+)`", DOCUMENTATION)) == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook: str) -> None:
    assert any(name.startswith(f"test_{hook}_") for name in globals()), f"write test_{hook}_..."


def test_medvid_components_is_asked_when_the_plugin_is_loaded(third_party: Any) -> None:
    third_party.install(
        "ext",
        "from medvid.plugin import BackboneSpec, hookimpl\n"
        "@hookimpl\ndef medvid_components():\n"
        "    yield BackboneSpec(name='net', target='a:b', config='a:c', axes=(), features=())\n",
    )
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    found = next(p for p in discover(read_allow_list(third_party.allow())) if p.distribution == "ext")
    assert found.components == ()
    assert [spec.name for spec in load_plugin(manager, found).components] == ["net"]


def test_medvid_run_configured_comes_first_and_once(recorder: Recorder) -> None:
    assert recorder.calls[0][0] == "medvid_run_configured"
    (call,) = recorder.of("medvid_run_configured")
    assert (call.run.task, call.run.start_step, call.run.steps, call.run.datasets) == ("tiny", 0, STEPS, {})
    assert recorder.files["medvid_run_configured"] == set()  # not made yet
    assert {"task.yaml", "resolved.yaml", "origin.json", ".lock"} <= recorder.files["medvid_run_started"]
    assert not {"checkpoints", "metrics.jsonl"} & recorder.files["medvid_run_started"]


@pytest.mark.usefixtures("working_directory")
def test_medvid_run_configured_may_veto() -> None:
    class Veto(Recorder):
        def _observer(self, hook: str) -> Any:
            return self._refuse if hook == "medvid_run_configured" else super()._observer(hook)

        @staticmethod
        def _refuse(run: RunInfo) -> None:
            raise ConfigError(f"no consent for {run.task}")

    veto = Veto()
    with pytest.raises(ConfigError, match="no consent for tiny"):
        run_tiny(veto)
    assert veto.calls == []  # as documented, neither finished nor failed


def test_medvid_run_started_knows_the_data(recorder: Recorder) -> None:
    (call,) = recorder.of("medvid_run_started")
    assert {split: data["cases"] for split, data in call.run.datasets.items()} == {"train": 3, "validation": 1}
    assert all(len(data["digest"]) >= 32 for data in call.run.datasets.values())
    order = [hook for hook, _ in recorder.calls]
    assert order.index("medvid_run_started") < order.index("medvid_metrics")


def test_medvid_progress_counts_cases_and_steps(recorder: Recorder) -> None:
    calls = recorder.of("medvid_progress")
    assert {call.stage for call in calls} == {"prepare", "train", "evaluate"}
    assert [(c.done, c.total) for c in calls if c.stage == "prepare"][-1] == (4, 4)
    train = [call for call in calls if call.stage == "train"]
    assert [call.done for call in train] == [0, *LOGGED]
    assert (train[0].values, {call.total for call in train}) == ({}, {STEPS})
    assert all({"loss", "lr", "step_time", "data_time"} <= set(call.values) for call in train[1:])
    assert [c.total for c in calls if c.stage == "evaluate"] == [1] * len([c for c in calls if c.stage == "evaluate"])


def test_medvid_metrics_has_floats_of_training_speed_and_validation(recorder: Recorder) -> None:
    calls = recorder.of("medvid_metrics")
    steps = {split: [call.step for call in calls if call.split == split] for split in ("train", "perf", "validation")}
    assert steps == {"train": LOGGED, "perf": LOGGED, "validation": VALIDATED}
    assert sum(map(len, steps.values())) == len(calls)
    assert all(type(value) is float for call in calls for value in call.values.values())
    assert not any(math.isnan(call.values["loss"]) for call in calls if call.split == "train")
    assert {"step_time", "data_time"} == set(next(call.values for call in calls if call.split == "perf"))


def test_medvid_checkpoint_saved_names_a_folder_that_was_there(recorder: Recorder) -> None:
    calls = recorder.of("medvid_checkpoint_saved")
    assert [call.step for call in calls] == [3, 6, 7]
    assert calls[-1].path.is_dir()
    assert calls[-1].path.parent == calls[-1].run.folder / "checkpoints"
    assert any(call.is_best for call in calls)


def test_medvid_evaluated_tells_the_closing_evaluation_from_the_others(recorder: Recorder) -> None:
    *during, closing = (call.evaluation for call in recorder.of("medvid_evaluated"))
    assert [(evaluation.step, evaluation.final) for evaluation in during] == [(step, False) for step in VALIDATED]
    assert all(evaluation.rows and not (evaluation.table or evaluation.figures) for evaluation in during)
    assert isinstance(closing, Evaluation)
    assert closing.final
    assert closing.table
    assert all(path.is_file() for path in closing.figures)


def test_medvid_run_finished_comes_last_with_everything_on_disk(recorder: Recorder) -> None:
    assert recorder.calls[-1][0] == "medvid_run_finished"
    (call,) = recorder.of("medvid_run_finished")
    closing = recorder.of("medvid_evaluated")[-1].evaluation
    assert (call.result.status, call.result.metrics) == ("finished", closing.metrics)
    assert call.result.seconds > 0
    assert {"summary.json", "cases.csv", "predictions"} <= recorder.files["medvid_run_finished"]
    assert recorder.of("medvid_run_failed") == []


@pytest.mark.usefixtures("working_directory")
def test_medvid_run_failed_comes_instead_and_cannot_hide_the_error(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy:
        @hookimpl
        def medvid_run_failed(self) -> None:
            raise RuntimeError("the report of a failure fails")

    recorder = Recorder()
    with pytest.raises(NumericError) as caught:
        run_tiny(recorder, Clumsy(), overrides={"train.optimizer.lr": 1e30, "train.schedule": {"name": "constant"}})
    (call,) = recorder.of("medvid_run_failed")
    assert call.result.status == "failed"
    assert call.error is caught.value
    assert recorder.of("medvid_run_finished") == []
    assert multiprocessing.active_children() == []  # although `caught` keeps all frames
    assert any("Clumsy failed in medvid_run_failed: RuntimeError" in message for message in caplog.messages)


def test_observers_get_nothing_that_lives_on_a_device(recorder: Recorder) -> None:
    def contents(value: Any) -> Any:
        yield value
        if isinstance(value, Mapping):
            for inner in value.values():
                yield from contents(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                yield from contents(inner)

    found = [inner for _, arguments in recorder.calls for value in arguments.values() for inner in contents(value)]
    assert len(found) > 100
    assert not any(isinstance(value, torch.Tensor) for value in found)
