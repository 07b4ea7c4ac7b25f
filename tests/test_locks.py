"""Locks of files, seen from another process and from the one that holds them."""

import subprocess
import sys

import pytest

from medvid.errors import LockedError
from medvid.locks import hold, is_held, taken

_ASK = "import sys; from pathlib import Path; from medvid.locks import is_held; print(is_held(Path(sys.argv[1])))"


def _asked_elsewhere(path):
    return subprocess.run([sys.executable, "-c", _ASK, path], capture_output=True, text=True, check=True).stdout.strip()


def test_another_process_sees_a_lock_and_asking_does_not_give_it_away(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    with hold(path, "it"):
        assert is_held(path)  # opened and closed by this process, the lock would be gone
        assert _asked_elsewhere(path) == "True"
        assert _asked_elsewhere(path) == "True"
    assert not is_held(path)
    assert _asked_elsewhere(path) == "False"


def test_who_finds_it_held_is_told_by_whom(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys; from pathlib import Path; from medvid.locks import hold\n"
        "with hold(Path(sys.argv[1]), 'it'): print('held', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, path], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        assert is_held(path)
        with pytest.raises(LockedError, match=f"it is in use by process {holder.pid}"), hold(path, "it"):
            pass
        with path.open("a") as file, taken(file) as is_ours:
            assert not is_ours
        assert is_held(path)
        holder.communicate("\n")
    assert not is_held(path)
    assert path.read_text() == ""
