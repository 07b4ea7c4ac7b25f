import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medvid.cli import main as cli
from medvid.errors import NumericError

HEAVY = """
import sys
from medvid.cli.main import main
main(sys.argv[1:])
heavy = {"torch", "numpy", "monai", "mlflow", "nibabel", "scipy", "lightning_fabric", "PIL", "av"} & set(sys.modules)
print(*heavy, file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["--help", "plugins list", "tasks", "check --help", "cache"])
def test_light_commands_import_nothing_heavy(python: Any, command: str) -> None:
    assert python(HEAVY, *command.split()).err.split() == []


def test_help_names_every_command_and_its_module_exists(platform: Any) -> None:
    result = platform("--help")
    assert result.code == 0
    for name, text in cli.COMMANDS.items():
        assert text in result.out
        assert platform(name, "--help").out.startswith(f"Usage: platform {name} ")


def test_python_m_medvid_is_the_same() -> None:
    command = [sys.executable, "-m", "medvid", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == f"medvid {importlib.metadata.version('medvid')}\n"


@pytest.mark.parametrize("arguments", [["chekc"], ["check"], ["check", "t.yaml", "--nope"], ["--plugins"], []])
def test_wrong_usage_is_exit_2(platform: Any, arguments: list[str]) -> None:
    assert platform(*arguments).code == 2


def test_an_error_is_one_line_and_one_hint_as_they_are(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise NumericError(f"the loss is [red]nan[/red] in {'x' * 200}, {name}", hint="lower [train.lr]")

    monkeypatch.setattr(cli, "_import_command", fail)
    result = platform("check")
    assert result == (
        5,
        "",
        f"error[NUMERIC]: the loss is [red]nan[/red] in {'x' * 200}, check\nhint: lower [train.lr]\n",
    )
    for arguments in (["--verbose", "check"], ["check", "--verbose"]):
        shown = platform(*arguments)
        assert shown.err.startswith("Traceback (most recent call last)")
        assert shown.err.endswith(result.err)


def test_an_error_nobody_foresaw_is_exit_1_and_says_how_to_see_more(
    platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise ZeroDivisionError(name)

    monkeypatch.setattr(cli, "_import_command", fail)
    code, _, err = platform("run")
    assert (code, err) == (1, "error: ZeroDivisionError: run\nhint: re-run with --verbose for the traceback\n")
    assert "Traceback" in platform("run", "--verbose").err


def test_a_plugin_that_is_broken_does_not_disturb(platform: Any, third_party: Any, task_file: Any) -> None:
    third_party.install("leaver", "import sys; sys.exit(0)")
    third_party.allow()
    assert platform("check", task_file, "--plugins", third_party.plugins_file).code == 0


def test_global_options_stand_before_or_behind_the_command(platform: Any, third_party: Any) -> None:
    third_party.install("ext", "")
    file = third_party.allow()
    for arguments in (
        ["--plugins", file, "plugins", "list"],
        ["plugins", "list", "--plugins", file],
        ["plugins", f"--plugins={file}", "list"],
    ):
        assert "[ext 1.0]" in platform(*arguments).out


def test_what_is_logged_is_shown_once(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    def log(name: str) -> None:
        logging.getLogger("medvid").warning("seen %s", name)
        logging.getLogger("medvid.console").warning("on the console anyway")
        raise SystemExit(0)

    monkeypatch.setattr(cli, "_import_command", log)
    for _ in range(2):
        assert platform("ui") == (0, "", "seen ui\n")


@pytest.mark.parametrize(("arguments", "end"), [("", "the end"), ("sys.argv[1:]", "Ctrl-C")])
def test_ctrl_c_cannot_disturb_the_end_of_the_process_of_a_command(python: Any, arguments: str, end: str) -> None:
    script = f"""
import signal, sys
from medvid.cli.main import main
main({arguments})
try:
    signal.raise_signal(signal.SIGINT)
    print("the end")
except KeyboardInterrupt:
    print("Ctrl-C")
"""
    assert python(script, "--version").out.splitlines()[1:] == [end]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_screen_that_is_gone_does_not_change_the_exit_code() -> None:
    with Path("/dev/full").open("w") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "medvid", "check", "gone.yaml"], stdout=gone, stderr=gone, check=False
        )
    assert done.returncode == 2
