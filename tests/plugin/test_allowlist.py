from pathlib import Path

import pytest

from medvid.errors import PluginError
from medvid.plugin.allowlist import (
    VARIABLE,
    AllowedPlugin,
    find_file,
    read_allow_list,
    read_for_writing,
    write_allow_list,
)

DIGEST = "0" * 64
ENTRY = f'[[plugin]]\ndistribution = "ext"\nversion = "==1.0"\nentry_point = "ext"\nrecord_sha256 = "{DIGEST}"\n'


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_file_given_comes_before_the_variable_before_the_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_file() is None
    (tmp_path / "plugins.toml").touch()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert find_file() == tmp_path / "plugins.toml"
    monkeypatch.setenv(VARIABLE, "named.toml")
    assert find_file() == Path("named.toml")
    assert find_file(Path("given.toml")) == Path("given.toml")


def test_without_a_file_nothing_is_allowed_and_nothing_is_wrong() -> None:
    allow = read_allow_list()
    assert (allow.path, allow.plugins, allow.problem) == (None, (), "")


def test_a_written_list_is_read_back(tmp_path: Path) -> None:
    plugins = (
        AllowedPlugin(distribution="Ext.One", version=">=1,<2", entry_point='quo"te', record_sha256=DIGEST),
        AllowedPlugin(distribution="two", version="==3.1", entry_point="zwei-ü", editable=True),
    )
    write_allow_list(tmp_path / "plugins.toml", plugins, ("mlflow",))
    allow = read_allow_list()
    assert allow.problem == ""
    assert (allow.plugins, allow.disabled) == (plugins, ("mlflow",))
    assert allow.find("ext-one", 'quo"te') == plugins[0]
    assert allow.find("ext-one", "two") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("schema = 1\n[[plugin]\n", "at line 2"),
        ("", "schema: Field required"),
        ("schema = 2", "schema: Input should be 1"),
        ("schema = 1\nplugins = []", "plugins: Extra inputs"),
        (f"schema = 1\n{ENTRY}\n{ENTRY}editable = true", "plugins.toml:8: plugin.1: give either record_sha256"),
        (f"schema = 1\n{ENTRY.replace(DIGEST, 'abc')}", "plugins.toml:2: plugin.0.record_sha256"),
        (f"schema = 1\n{ENTRY.replace('==1.0', 'one')}", "'one' is not a version range"),
        (f"schema = 1\n{ENTRY}".replace("record_sha256", "#"), "give either record_sha256 or editable"),
        ("schema = 1 # \udcff", "can't decode byte 0xff"),
    ],
)
def test_an_invalid_file_allows_nothing_and_says_why(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "plugins.toml").write_bytes(text.encode(errors="surrogateescape"))
    allow = read_allow_list()
    assert allow.plugins == ()
    assert problem in allow.problem
    assert str(tmp_path / "plugins.toml") in allow.problem


def test_a_missing_file_that_was_asked_for_is_a_problem() -> None:
    assert read_allow_list(Path("gone.toml")).problem == "gone.toml cannot be read: No such file or directory"


def test_a_written_list_is_in_order_and_alone(tmp_path: Path) -> None:
    entries = [AllowedPlugin(distribution=name, version=">=1", entry_point="p", editable=True) for name in "bca"]
    write_allow_list(tmp_path / "plugins.toml", entries, ())
    assert [entry.distribution for entry in read_allow_list().plugins] == ["a", "b", "c"]
    assert [path.name for path in tmp_path.iterdir()] == ["plugins.toml"]


def test_a_link_to_a_shared_list_stays_one(tmp_path: Path) -> None:
    (tmp_path / "shared.toml").write_text("schema = 1\n")
    (tmp_path / "plugins.toml").symlink_to("shared.toml")
    write_allow_list(tmp_path / "plugins.toml", (), ("mlflow",))
    assert (tmp_path / "plugins.toml").is_symlink()
    assert read_allow_list(tmp_path / "shared.toml").disabled == ("mlflow",)


def test_a_list_that_cannot_be_used_is_not_overwritten(tmp_path: Path) -> None:
    assert read_for_writing()[0] == Path("plugins.toml")
    assert read_for_writing(Path("new.toml"))[0] == Path("new.toml")
    (tmp_path / "plugins.toml").write_text("schema = 3")
    with pytest.raises(PluginError, match="schema"):
        read_for_writing()
