import os
import time

import pytest

from medvid.errors import ResourceError
from medvid.parallel import map_in_processes


def test_processes_give_every_result() -> None:
    items = [str(number) for number in range(40)]
    assert dict(map_in_processes(str.upper, items, 2)) == {item: item for item in items}


def test_what_killed_a_process_is_named() -> None:
    with pytest.raises(ResourceError, match=r"a process died .* while it worked on one of: 3"):
        list(map_in_processes(os._exit, [3], 2))


def test_work_begins_here_and_goes_on_in_other_processes() -> None:
    expressions = [f"(__import__('time').sleep(0.05), __import__('os').getpid(), {number})" for number in range(8)]
    found = dict(map_in_processes(eval, expressions, 2, here=0.08))  # as code, which other processes need not import
    assert sorted(found) == expressions
    assert [number for _, process, number in found.values() if process == os.getpid()] == [0, 1, 2]
    here = map_in_processes(eval, expressions[:3], 2, here=60)
    assert {process for _, (_, process, _) in here} == {os.getpid()}


def test_what_is_not_done_in_time_is_not_awaited() -> None:
    assert [item for item, _ in map_in_processes(time.sleep, [0.1, 0.2, 0.3], 1, seconds=0)] == [0.1]
    began = time.monotonic()
    assert list(map_in_processes(time.sleep, [600], 2, seconds=1)) == []
    assert time.monotonic() - began < 60
