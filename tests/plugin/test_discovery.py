import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.errors import PluginError
from medvid.plugin.allowlist import AllowedPlugin, AllowList, read_allow_list
from medvid.plugin.discovery import PluginStatus, discover, pin
from medvid.plugin.host import make_host

HARMLESS = "value = 1\n"


@pytest.fixture
def status(third_party: Any) -> Callable[..., PluginStatus]:
    """What discovery says of a distribution, under the tests' allow-list."""

    def of(distribution: str) -> PluginStatus:
        allow = read_allow_list(third_party.plugins_file)
        return next(plugin for plugin in discover(allow) if plugin.distribution == distribution)

    return of


def test_builtin_plugins_come_first_and_need_no_listing() -> None:
    plugins = discover(AllowList())
    assert {"console", "mlflow", "unetr"} <= {plugin.name for plugin in plugins if plugin.status == "builtin"}
    assert plugins[0].distribution == "medvid"


def test_a_builtin_plugin_can_be_disabled() -> None:
    found = {plugin.name: plugin for plugin in discover(AllowList(Path("p.toml"), disabled=("mlflow",)))}
    assert (found["mlflow"].status, found["mlflow"].reason) == ("disabled", "by p.toml")
    assert found["console"].active


def test_an_unlisted_plugin_is_seen_but_never_imported(third_party: Any, status: Any, tmp_path: Path) -> None:
    third_party.install("evil", f"open({str(tmp_path / 'trace')!r}, 'w')")
    assert status("evil").status == "installed, not enabled"
    assert not (tmp_path / "trace").exists()


def test_a_listed_plugin_is_enabled(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    third_party.allow("ext")
    plugin = status("ext")
    assert plugin.active
    assert (plugin.label, plugin.status) == ("plugin ext of ext 1.0", "enabled")


def test_another_version_is_refused(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    third_party.allow()
    shutil.rmtree(third_party.folder / "ext-1.0.dist-info")
    third_party.install("ext", HARMLESS, version="0.9")
    assert status("ext").reason.startswith("version 0.9 is installed, but ==1.0 is allowed; to allow")


def test_one_changed_byte_is_refused(third_party: Any, status: Any) -> None:
    module = third_party.install("ext", HARMLESS)
    third_party.allow()
    module.write_text(HARMLESS.replace("1", "2"))
    assert (status("ext").status, status("ext").reason) == (
        "refused",
        "ext.py is not as it was installed; reinstall ext",
    )
    with pytest.raises(PluginError, match=r"cannot be allowed: ext\.py is not as it was installed"):
        pin(status("ext"))
    module.unlink()
    assert status("ext").status == "refused"


def test_a_package_that_takes_the_place_of_a_module_is_refused(third_party: Any, status: Any) -> None:
    module = third_party.install("ext", HARMLESS)
    third_party.allow()
    module.with_suffix("").mkdir()
    assert status("ext").status == "enabled"  # Python still imports the module
    (module.with_suffix("") / "__init__.py").write_text(HARMLESS)
    assert status("ext").reason == "ext/__init__.py is not as it was installed; reinstall ext"


def test_another_build_of_the_same_version_is_refused(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    third_party.allow()
    shutil.rmtree(third_party.folder / "ext-1.0.dist-info")
    third_party.install("ext", HARMLESS.replace("1", "2"))
    assert "the hash of RECORD differs" in status("ext").reason


def test_without_a_record_there_is_nothing_to_verify(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    third_party.allow()
    (third_party.folder / "ext-1.0.dist-info" / "RECORD").unlink()
    assert status("ext").reason.startswith("it has no RECORD file to verify it by")
    with pytest.raises(PluginError, match="no RECORD"):
        pin(status("ext"))


def test_an_editable_plugin_may_change(third_party: Any, status: Any) -> None:
    module = third_party.install("ext", HARMLESS)
    (third_party.folder / "ext-1.0.dist-info" / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    third_party.allow()
    module.write_text("value = 2\n")
    assert pin(status("ext")).editable
    assert status("ext").status == "enabled"


def test_a_plugin_is_known_by_its_distribution_not_by_its_entry_point_alone(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    third_party.allow()
    third_party.install("squatter", HARMLESS)
    (third_party.folder / "squatter-1.0.dist-info" / "entry_points.txt").write_text(
        "[medvid.plugins]\next = squatter\n"
    )
    assert status("squatter").name == "ext"
    assert status("squatter").status == "installed, not enabled"


def test_a_listed_plugin_that_is_not_installed_is_missing() -> None:
    entry = AllowedPlugin(distribution="gone", version=">=1", entry_point="gone", editable=True)
    plugin = next(plugin for plugin in discover(AllowList(Path("p.toml"), (entry,))) if plugin.distribution == "gone")
    assert (plugin.status, plugin.reason) == ("missing", "p.toml lists it: not installed")


def test_damaged_metadata_stops_nobody(third_party: Any, status: Any) -> None:
    third_party.install("other-tool", HARMLESS)
    third_party.install("damaged", HARMLESS)
    third_party.install("nameless", HARMLESS)
    third_party.install("ext", HARMLESS)
    (third_party.folder / "other_tool-1.0.dist-info" / "entry_points.txt").write_text("[x]\nno equals sign\n")
    (third_party.folder / "damaged-1.0.dist-info" / "entry_points.txt").write_text("[medvid.plugins]\nno equals sign\n")
    (third_party.folder / "nameless-1.0.dist-info" / "METADATA").unlink()
    third_party.allow("ext")
    assert status("ext").active
    assert (status("damaged").status, status("damaged").reason) == ("broken", "its entry_points.txt cannot be read")


def test_a_distribution_that_is_found_twice_counts_once(
    third_party: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    third_party.install("ext", HARMLESS)
    shutil.copytree(third_party.folder, tmp_path / "copy")
    monkeypatch.syspath_prepend(tmp_path / "copy")
    assert [plugin.name for plugin in discover(AllowList())].count("ext") == 1


def announce(third_party: Any, name: str, text: str) -> None:
    (third_party.folder / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(text)


def require(third_party: Any, name: str, *requirements: str) -> None:
    metadata = third_party.folder / f"{name}-1.0.dist-info" / "METADATA"
    lines = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    metadata.write_text(f"{metadata.read_text()}{lines}\nA description.\n\nRequires-Dist: medvid>=99\n")


@pytest.mark.parametrize("listed", [True, False])
def test_a_plugin_for_another_api_is_refused_before_import(third_party: Any, status: Any, listed: bool) -> None:
    third_party.install("ext", "raise AssertionError('imported')")
    third_party.allow(*(["ext"] if listed else ["nothing"]))
    announce(third_party, "ext", "[medvid.plugins.v2]\next = ext\n")
    plugin = status("ext")
    assert plugin.status == "refused"
    assert plugin.reason.startswith("it is built for version 2 of the plugin API, this medvid has version 1; install")
    assert make_host(third_party.plugins_file)
    with pytest.raises(PluginError, match="cannot be allowed: it is built for version 2"):
        pin(plugin)


def test_a_plugin_for_several_apis_is_taken_for_ours(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    announce(third_party, "ext", "[medvid.plugins.v2]\next = not_there\n\n[medvid.plugins]\next = ext\n")
    third_party.allow("ext")
    assert [(p.status, p.entry_point.value) for p in [status("ext")]] == [("enabled", "ext")]
    assert [plugin.name for plugin in discover(AllowList())].count("ext") == 1


def test_another_projects_group_is_not_ours(third_party: Any) -> None:
    third_party.install("ext", HARMLESS)
    announce(third_party, "ext", "[medvid.plugins.extra]\next = ext\n[medvid.pluginstore]\next = ext\n")
    assert "ext" not in [plugin.distribution for plugin in discover(AllowList())]


def test_a_plugin_that_needs_another_medvid_is_refused_before_import(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    require(third_party, "ext", "numpy>=99", "medvid>=0.1", "medvid>=99; extra == 'future'", "not a requirement !")
    third_party.allow("ext")
    assert status("ext").status == "enabled"
    third_party.install("new", HARMLESS)
    require(third_party, "new", "Medvid >= 99")
    with pytest.raises(PluginError, match=r"cannot be allowed: it requires medvid >=99, this is \d"):
        pin(status("new"))


def test_an_editable_entry_does_not_allow_an_unverified_package(third_party: Any, status: Any) -> None:
    third_party.install("ext", HARMLESS)
    url = third_party.folder / "ext-1.0.dist-info" / "direct_url.json"
    url.write_text('{"dir_info": {"editable": true}}')
    third_party.allow()
    assert status("ext").editable
    url.unlink()
    plugin = status("ext")
    assert (plugin.status, plugin.editable) == ("refused", False)
    assert plugin.reason == (
        "it was allowed as editable, but is installed from a package; to allow it as it is: platform plugins add ext"
    )
