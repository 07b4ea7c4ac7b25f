"""`platform plugins add`, `remove` and `lock`."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
from medvid.plugin import BackboneSpec, hookimpl

@hookimpl
def medvid_components():
    yield BackboneSpec(name="wavelet", target="a:b", config="a:c", axes=("volume",), features=("maps",))
"""
FILE = Path("plugins.toml")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def entries() -> dict[str, dict[str, Any]]:
    """The entries of plugins.toml, by distribution."""
    return {entry["distribution"]: entry for entry in tomllib.loads(FILE.read_text())["plugin"]}


def listed(platform: Any) -> str:
    return platform("plugins", "list").out


def upgrade(third_party: Any, name: str, version: str, source: str = SOURCE) -> None:
    shutil.rmtree(next(third_party.folder.glob(f"{name}-*.dist-info")))
    third_party.install(name, source, version=version)


def test_an_added_plugin_is_used_until_it_changes(platform: Any, third_party: Any) -> None:
    module = third_party.install("ext", SOURCE)
    third_party.install("other", "")
    assert platform("plugins", "add", "ext").code == 0
    assert "[ext 1.0]" in listed(platform)
    assert platform("plugins", "add", "other").code == 0
    assert set(entries()) == {"ext", "other"}

    module.write_text(SOURCE + "# changed")
    assert "plugin ext of ext 1.0 is refused: ext.py is not as it was installed; reinstall ext" in listed(platform)
    assert platform("plugins", "add", "ext").code == 3


def test_add_shows_what_will_be_trusted_then_what_it_contributes(platform: Any, third_party: Any) -> None:
    third_party.install("ext", SOURCE)
    info = third_party.folder / "ext-1.0.dist-info"
    with (info / "METADATA").open("a") as file:
        file.write("Project-URL: Home, https://example.org/ext\nAuthor-email: A. Author <a@example.org>\n")
        file.write("Author: red \x1b[31m text\n")
    (info / "direct_url.json").write_text('{"url": "https://example.org/ext.whl", "archive_info": {}}')
    out = platform("plugins", "add", "ext").out.splitlines()
    digest = entries()["ext"]["record_sha256"]
    assert out == [
        "distribution  ext 1.0",
        "home page     Home, https://example.org/ext",
        "by            red ?[31m text, A. Author <a@example.org>",
        "source        https://example.org/ext.whl",
        f"files         2, RECORD sha256 {digest}",
        "entry point   ext = ext",
        "Every command will import it, with your permissions; the list is not a sandbox.",
        "plugins.toml: ext allowed",
        "ext: backbone wavelet",
    ]
    assert len(digest) == 64


def test_adding_again_changes_nothing(platform: Any, third_party: Any) -> None:
    third_party.install("Ext-Two", "")
    for name in ("Ext-Two", "ext-two", "ext.two"):
        assert platform("plugins", "add", name).code == 0
        assert list(entries()) == ["Ext-Two"]


def test_a_plugin_that_cannot_be_used_is_told_when_it_is_added(platform: Any, third_party: Any) -> None:
    third_party.install("ext", "1 / 0")
    third_party.install("clash", SOURCE.replace("wavelet", "unetr"))
    for name, reason in (
        ("ext", "ZeroDivisionError"),
        ("clash", "'unetr' is also contributed by plugin unetr of medvid"),
    ):
        result = platform("plugins", "add", name)
        assert result.code == 3
        assert reason in result.err
        assert f"hint: fix it, or remove it again: platform plugins remove {name}" in result.err


def test_names_that_mean_nothing_or_too_much(platform: Any, third_party: Any) -> None:
    assert platform("plugins", "add", "medvid").code == 2
    assert platform("plugins", "remove", "unheard-of").err.endswith("hint: there are: none\n")
    for name in ("ext-a", "ext-b"):
        third_party.install(name, "")
        entry_points = third_party.folder / f"{name.replace('-', '_')}-1.0.dist-info" / "entry_points.txt"
        entry_points.write_text(entry_points.read_text().replace(f"{name} =", "same ="))
    unknown = platform("plugins", "add", "unheard-of")
    assert (unknown.code, unknown.err.splitlines()[-1]) == (2, "hint: there are: ext-a, ext-b")
    result = platform("plugins", "add", "same")
    assert (result.code, result.err.splitlines()[-1]) == (2, "hint: name one: ext-a, ext-b")
    FILE.write_text("schema = 3")
    for command in (["add", "ext-a"], ["remove", "ext-a"], ["lock"]):
        assert platform("plugins", *command).code == 3
    assert FILE.read_text() == "schema = 3"


def test_a_plugin_that_cannot_be_verified_is_not_added(platform: Any, third_party: Any) -> None:
    third_party.install("ext", SOURCE)
    points = third_party.folder / "ext-1.0.dist-info" / "entry_points.txt"
    for text, reason in (
        ("[medvid.plugins.v2]\next = ext\n", "built for version 2 of the plugin API"),
        ("[medvid.plugins]\nno equals sign\n", "its entry_points.txt cannot be read"),
    ):
        points.write_text(text)
        result = platform("plugins", "add", "ext")
        assert result.code == 3
        assert reason in result.err
    assert not FILE.exists()


def test_a_removed_plugin_is_no_longer_loaded(platform: Any, third_party: Any) -> None:
    for name in ("ext", "other"):
        third_party.install(name, SOURCE if name == "ext" else "")
        platform("plugins", "add", name)
    result = platform("plugins", "remove", "EXT")
    assert (result.code, result.out) == (0, f"{FILE.absolute()}: plugin ext of ext is no longer allowed\n")
    assert list(entries()) == ["other"]
    assert "plugin ext of ext 1.0 is installed, not enabled" in listed(platform)
    assert platform("plugins", "remove", "ext").code == 2


def test_what_is_gone_can_still_be_removed(platform: Any, third_party: Any) -> None:
    third_party.install("ext", SOURCE)
    platform("plugins", "add", "ext")
    shutil.rmtree(third_party.folder / "ext-1.0.dist-info")
    assert "plugin ext of ext is missing" in listed(platform)
    assert platform("plugins", "remove", "ext").code == 0
    assert "[[plugin]]" not in FILE.read_text()


def test_lock_pins_what_is_installed_and_shows_what_changes(platform: Any, third_party: Any) -> None:
    for name in ("same", "ranged", "ext"):
        third_party.install(name, "")
        platform("plugins", "add", name)
    FILE.write_text(FILE.read_text().replace('"ranged"\nversion = "==1.0"', '"ranged"\nversion = ">=1,<2"'))
    before = FILE.read_text()
    assert platform("plugins", "lock", "--check").code == 0
    assert platform("plugins", "lock").out == f"{FILE.absolute()}: 3 plugins, 0 pinned again\n"
    assert FILE.read_text() == before

    old = entries()
    upgrade(third_party, "ext", "2.0")
    upgrade(third_party, "ranged", "1.5")
    checked = platform("plugins", "lock", "--check")
    assert checked.code == 3
    assert "2 of 3 plugins" in checked.err
    assert "hint: reinstall the locked versions, or lock the installed ones: platform plugins lock" in checked.err
    assert FILE.read_text() == before

    result = platform("plugins", "lock")
    new = entries()
    assert result.code == 0
    hashes = {name: f"RECORD sha256 {old[name]['record_sha256'][:12]} -> " for name in old}
    assert f"ext of ext: version ==1.0 -> ==2.0, {hashes['ext']}" in result.out
    assert f"ranged of ranged: {hashes['ranged']}RECORD sha256 {new['ranged']['record_sha256'][:12]}" in result.out
    assert checked.out.splitlines() == result.out.splitlines()[:-1]
    assert [new[name]["version"] for name in ("ext", "ranged", "same")] == ["==2.0", ">=1,<2", "==1.0"]
    assert new["same"] == old["same"]
    assert "[ext 2.0]" in listed(platform)
    assert platform("plugins", "lock", "--check").code == 0


def test_lock_sees_that_a_plugin_became_editable_or_stopped_being_so(platform: Any, third_party: Any) -> None:
    third_party.install("ext", "")
    platform("plugins", "add", "ext")
    url = third_party.folder / "ext-1.0.dist-info" / "direct_url.json"
    url.write_text('{"dir_info": {"editable": true}}')
    assert "ext of ext: RECORD sha256 " in platform("plugins", "lock").out
    assert entries()["ext"]["editable"] is True
    url.unlink()
    assert platform("plugins", "lock", "--check").code == 3
    assert "ext of ext: editable -> RECORD sha256 " in platform("plugins", "lock").out


def test_lock_does_not_bless_what_it_cannot_verify(platform: Any, third_party: Any) -> None:
    for name in ("changed", "gone"):
        third_party.install(name, "")
        platform("plugins", "add", name)
    before = FILE.read_text()
    (third_party.folder / "changed.py").write_text("value = 7")
    shutil.rmtree(third_party.folder / "gone-1.0.dist-info")
    for options in ([], ["--check"]):
        result = platform("plugins", "lock", *options)
        assert result.code == 3
        assert "changed.py is not as it was installed" in result.err
        assert "plugin gone of gone is not installed" in result.err
    assert FILE.read_text() == before
