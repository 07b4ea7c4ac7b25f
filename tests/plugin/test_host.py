import logging
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from medvid.errors import ConfigError, DataError, PluginError
from medvid.plugin import BackboneSpec, DatasetSpec, HeadSpec, RunInfo
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.host import Host, make_host

IMPORTS = "from medvid.plugin import BackboneSpec, HeadSpec, hookimpl\n"
RUN = RunInfo(
    name="r", task="t", folder=Path(), config={}, seed=0, demo=False, start_step=0, steps=1, device="cpu",
    plugins={}, environment={}, datasets={},
)  # fmt: skip


def contributes(*names: str) -> str:
    specs = ", ".join(
        f"BackboneSpec(name={name!r}, target='no.such:Net', config='no.such:Options', axes=(), features=())"
        for name in names
    )
    return f"{IMPORTS}\n@hookimpl\ndef medvid_components():\n    return [{specs}]\n"


@pytest.fixture
def host_with(third_party: Any) -> Callable[..., Host]:
    """Install and enable plugins, given as their source by name, and make a host."""

    def make(**sources: str) -> Host:
        for name, source in sources.items():
            third_party.install(name, IMPORTS + dedent(source))
        return make_host(third_party.allow())

    return make


def plugin(host: Host, name: str) -> PluginStatus:
    return next(plugin for plugin in host.plugins if plugin.name == name)


def test_our_own_plugins_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    host = make_host()
    assert {"unetr"} <= {spec.name for spec in host.specs(BackboneSpec)}
    assert {"btcv", "nifti"} <= {spec.name for spec in host.specs(DatasetSpec)}
    assert [plugin.reason for plugin in host.plugins if plugin.status != "builtin"] == []


def test_components_are_found_by_kind_and_name(host_with: Any) -> None:
    host = host_with(ext=contributes("zeta_net", "alpha_net"))
    spec = host.spec(BackboneSpec, "zeta_net")
    assert isinstance(spec, BackboneSpec)
    assert host.owner(spec).label == "plugin ext of ext 1.0"
    names = [spec.name for spec in host.specs(BackboneSpec)]
    assert names == sorted(names)
    assert {"zeta_net", "alpha_net"} <= set(names)


BROKEN = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "import sys\nsys.exit(0)": "SystemExit: 0",
    "raise BaseException('odd')": "BaseException: odd",
    "class Own(BaseException): ...\nraise Own": "Own",
    "import medvid_is_not_a_module": "ModuleNotFoundError: No module named 'medvid_is_not_a_module'",
    "def broken(:": "SyntaxError",
    "@hookimpl\ndef medvid_metric(run): ...": "there is no hook 'medvid_metric'; did you mean 'medvid_metrics'?",
    "@hookimpl\ndef medvid_metrics(run, values, epoch): ...": "Argument(s) {'epoch'} are declared in the hookimpl",
    "@hookimpl\ndef medvid_components(): return ['net']": "returned 'net', which is not the spec of a component",
    "def medvid_components(): return []": "it implements no hook: none of its functions is marked with @hookimpl",
    "@hookimpl\ndef medvid_components(): ...": "medvid_components returned nothing",
    "@hookimpl\ndef medvid_components(): return 3": "medvid_components returned 3, not specs",
    "@hookimpl\ndef medvid_components():\n    yield 1 / 0": "ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_go_on(host_with: Any, source: str) -> None:
    host = host_with(broken=source, sound=contributes("sound_net"))
    assert plugin(host, "broken").status == "broken"
    assert BROKEN[source] in plugin(host, "broken").reason
    assert host.spec(BackboneSpec, "sound_net")
    host.notify("medvid_metrics", run=RUN, split="train", step=1, values={})  # its hooks are gone as well


@pytest.mark.parametrize("source", ["\n\n\n1 / 0", "\n\n\ndef f(: ...", "def f():\n    1 / 0\n\nf()"])
def test_the_reason_has_the_plugins_own_first_frame(third_party: Any, source: str) -> None:
    module = third_party.install("ext", source)
    host = make_host(third_party.allow())
    assert f"({module}:4)" in plugin(host, "ext").reason


def test_an_interrupt_while_loading_is_the_users(host_with: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        host_with(ext="raise KeyboardInterrupt")


def test_a_name_used_twice_is_an_error_naming_both_and_disables_nothing_else(host_with: Any) -> None:
    host = host_with(ext_a=contributes("same_net", "own_net"), ext_b=contributes("same_net"))
    with pytest.raises(PluginError, match=r"plugin ext_a of ext_a 1\.0 and by plugin ext_b of ext_b 1\.0") as caught:
        host.spec(BackboneSpec, "same_net")
    assert caught.value.hint == "platform plugins remove ext_a or platform plugins remove ext_b"
    assert host.spec(BackboneSpec, "own_net")
    assert "same_net" not in [spec.name for spec in host.specs(BackboneSpec)]
    assert plugin(host, "ext_b").reason == "backbone 'same_net' is also contributed by plugin ext_a of ext_a 1.0"


def test_our_own_names_are_not_exempt_from_clashes(host_with: Any) -> None:
    host = host_with(ext=contributes("unetr"))
    with pytest.raises(PluginError, match=r"of medvid .* of ext 1\.0"):
        host.spec(BackboneSpec, "unetr")


def test_an_unknown_name_comes_with_the_closest_and_the_enabled_ones(host_with: Any) -> None:
    host = host_with(ext=contributes("very_special_net"))
    with pytest.raises(ConfigError, match=r"'very_spezial_net'; did you mean 'very_special_net'\? enabled: .*unetr"):
        host.spec(BackboneSpec, "very_spezial_net")
    with pytest.raises(ConfigError, match="'very_special_net' is a backbone, not a head"):
        host.spec(HeadSpec, "very_special_net")
    with pytest.raises(ConfigError, match="no head named 'nothing_like_it'; enabled: "):
        host.spec(HeadSpec, "nothing_like_it")


def test_a_name_that_may_come_from_a_plugin_that_is_not_loaded(third_party: Any) -> None:
    third_party.install("broken", "1 / 0")
    third_party.allow()
    third_party.install("unlisted", "")
    with pytest.raises(PluginError) as caught:
        make_host(third_party.plugins_file).spec(BackboneSpec, "wavelet")
    assert "plugin broken of broken 1.0 is broken: ZeroDivisionError" in caught.value.hint
    assert "installed, not enabled: platform plugins add unlisted" in caught.value.hint


def test_a_misspelt_name_is_no_reason_to_list_other_plugins(third_party: Any) -> None:
    third_party.install("unlisted", "")
    with pytest.raises(ConfigError, match="did you mean 'unetr'") as caught:
        make_host(third_party.allow("nothing")).spec(BackboneSpec, "unetrr")
    assert not caught.value.hint


def test_a_component_named_like_its_plugin_is_the_plugins_however_close_others_are(third_party: Any) -> None:
    third_party.install("unetr2", "")
    with pytest.raises(PluginError, match="no backbone named 'unetr2'"):
        make_host(third_party.allow("nothing")).spec(BackboneSpec, "unetr2")


def test_without_a_valid_allow_list_only_builtin_plugins_are_loaded(third_party: Any) -> None:
    third_party.install("ext", contributes("net"))
    third_party.allow().write_text("schema = 1\n[[plugin")
    host = make_host(third_party.plugins_file)
    assert host.spec(BackboneSpec, "unetr")
    with pytest.raises(PluginError) as caught:
        host.spec(BackboneSpec, "wavelet")
    assert f"only builtin plugins are loaded: {third_party.plugins_file}" in caught.value.hint


def test_a_component_that_cannot_be_imported_names_its_plugin(host_with: Any) -> None:
    host = host_with(ext=contributes("net").replace("no.such:Net", "ext_code:Net"))
    spec = host.spec(BackboneSpec, "net")
    with pytest.raises(PluginError, match=r"'net' cannot be loaded from plugin ext of ext 1\.0: ModuleNotFoundError"):
        host.load(spec, spec.target)


OBSERVER = """
calls = []

@hookimpl
def medvid_metrics(step):
    calls.append(step)
    {action}

@hookimpl
def medvid_run_configured(run):
    {veto}
"""


def observers(**actions: str) -> dict[str, str]:
    return {name: OBSERVER.format(action=action, veto="pass") for name, action in actions.items()}


def calls(host: Host, name: str) -> list[int]:
    entry_point = plugin(host, name).entry_point
    assert entry_point is not None
    found: list[int] = entry_point.load().calls
    return found


def test_an_observer_that_fails_is_reported_once_and_stops_nobody(
    host_with: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host = host_with(**observers(a="pass", b="1 / 0", c="raise SystemExit", d="pass"))
    with caplog.at_level(logging.WARNING, logger="medvid"):
        for step in (1, 2):
            host.notify("medvid_metrics", run=RUN, split="train", step=step, values={})
    assert all(calls(host, name) == [1, 2] for name in "abcd")
    reports = [record.getMessage() for record in caplog.records]
    assert len(reports) == 2
    assert any(report.startswith("plugin b of b 1.0 failed in medvid_metrics: ZeroDivisionError") for report in reports)


LEAKY = """
import random, warnings
print("hello")
random.seed(3)
warnings.simplefilter("ignore")

@hookimpl
def medvid_metrics():
    warnings.simplefilter("ignore")
    1 / 0

@hookimpl
def medvid_run_configured():
    warnings.simplefilter("ignore")

@hookimpl
def medvid_components():
    yield BackboneSpec(name="leaky", target="leaky_code:value", config="", axes=(), features=())
"""


def test_what_a_plugin_leaks_is_put_back_and_told_once_for_each_place(
    third_party: Any, host_with: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (third_party.folder / "leaky_code.py").write_text("import random\nrandom.seed(3)\nprint('there')\nvalue = 7\n")
    random.seed(5)
    numbers, filters = random.getstate(), list(warnings.filters)
    with caplog.at_level(logging.WARNING, logger="medvid"):
        host = host_with(leaky=LEAKY)
        host.veto(RUN)
        for step in (1, 2):
            host.notify("medvid_metrics", run=RUN, split="train", step=step, values={})
        spec = host.spec(BackboneSpec, "leaky")
        assert host.load(spec, spec.target) == 7
    assert (random.getstate(), warnings.filters) == (numbers, filters)
    assert caplog.messages == [
        "plugin leaky of leaky 1.0 printed on import; this is shown on standard error",
        "plugin leaky of leaky 1.0 changed the warning filters on import; this was restored",
        "plugin leaky of leaky 1.0 leaked in medvid_run_configured: changed the warning filters; this was restored",
        "plugin leaky of leaky 1.0 leaked in medvid_metrics: changed the warning filters; this was restored",
        f"plugin leaky of leaky 1.0 failed in medvid_metrics: ZeroDivisionError: division by zero"
        f" ({third_party.folder / 'leaky.py'}:11); the run continues",
        "plugin leaky of leaky 1.0 printed on import; this is shown on standard error",
    ]


def test_a_run_uses_the_owners_of_its_components_and_all_observers(host_with: Any) -> None:
    host = host_with(used=contributes("used_net"), idle=contributes("idle_net"), **observers(listener="pass"))
    names = {plugin.distribution for plugin in host.used_by([host.spec(BackboneSpec, "used_net")])}
    assert names == {"medvid", "used", "listener"}
    medvid_only = host.used_by([])
    assert {"console", "mlflow"} <= {plugin.name for plugin in medvid_only}
    assert "unetr" not in {plugin.name for plugin in medvid_only}


def test_tryfirst_observers_are_called_first(host_with: Any, caplog: pytest.LogCaptureFixture) -> None:
    say = "import logging\n@hookimpl{first}\ndef medvid_metrics():\n    logging.getLogger('order').warning({name!r})"
    sources = {name: say.format(first="(tryfirst=True)" if name == "b" else "", name=name) for name in "abc"}
    host_with(**sources).notify("medvid_metrics", run=RUN, split="train", step=1, values={})
    order = [record.getMessage() for record in caplog.records if record.name == "order"]
    assert order[0] == "b"
    assert sorted(order) == ["a", "b", "c"]


def test_a_veto_passes_and_another_error_names_the_plugin(host_with: Any) -> None:
    host = host_with(
        strict=OBSERVER.format(action="pass", veto="from medvid.errors import DataError; raise DataError('no consent')")
    )
    with pytest.raises(DataError, match="no consent") as caught:
        host.veto(RUN)
    assert caught.value.hint == "this is a veto of plugin strict of strict 1.0"


def test_a_failing_veto_names_the_plugin(host_with: Any) -> None:
    host = host_with(clumsy=OBSERVER.format(action="pass", veto="run.nope"))
    with pytest.raises(PluginError, match=r"plugin clumsy of clumsy 1\.0 failed in medvid_run_configured: Attribute"):
        host.veto(RUN)
