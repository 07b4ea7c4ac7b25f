"""The three steps of a pipeline, side by side, in order, and with their errors in their turns."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from medvid.evaluation.inference.pipeline import pipeline


def same(item: int) -> int:
    return item


def test_results_come_in_order() -> None:
    assert list(pipeline(range(5), lambda item: item + 1, lambda item: 10 * item, str)) == [
        "10",
        "20",
        "30",
        "40",
        "50",
    ]
    assert list(pipeline([], same, same, same)) == []


def test_while_one_is_inferred_the_next_is_loaded_and_the_one_before_is_finished() -> None:
    """Each step waits for the two others to be at work: one after the other they would wait in vain."""
    together = threading.Barrier(3, timeout=20)
    places: list[str] = []

    def step(name: str, meets: int) -> Callable[[int], int]:
        def run(item: int) -> int:
            if item == meets:
                together.wait()
            places.append(f"{name} {item} in {threading.current_thread() is threading.main_thread()}")
            return item

        return run

    assert list(pipeline(range(4), step("load", 2), step("infer", 1), step("finish", 0))) == [0, 1, 2, 3]
    assert {place for place in places if place.startswith("infer")} == {f"infer {item} in True" for item in range(4)}
    assert not any("True" in place for place in places if not place.startswith("infer"))


def test_two_loaded_items_are_in_memory_at_most() -> None:
    class Large:
        pass

    alive: weakref.WeakSet[Large] = weakref.WeakSet()
    most = 0

    def load(_: int) -> Large:
        nonlocal most
        gc.collect()
        alive.add(large := Large())
        most = max(most, len(alive))
        return large

    for _ in pipeline(range(20), load, lambda _: None, lambda _: None):
        pass
    assert most <= 2


def test_nothing_is_finished_while_the_caller_has_a_result() -> None:
    finished: list[int] = []

    def finish(item: int) -> int:
        finished.append(item)
        return item

    for item in pipeline(range(6), same, same, finish):
        assert finished == [*range(item + 1)]


@pytest.mark.parametrize("fails", ["load", "infer", "finish"])
def test_an_error_comes_as_it_is_after_the_results_of_those_before(fails: str) -> None:
    error, seen = KeyError("third"), list[int]()

    def step(name: str) -> Callable[[int], int]:
        def run(item: int) -> int:
            if name == fails and item == 2:
                raise error
            return item

        return run

    with pytest.raises(KeyError) as caught:
        seen.extend(pipeline(range(5), step("load"), step("infer"), step("finish")))
    assert caught.value is error
    assert seen == [0, 1]


def test_its_threads_have_ended_with_it() -> None:
    before = threading.active_count()
    items = pipeline(range(5), same, same, same)
    assert next(items) == 0
    assert threading.active_count() == before + 2
    items.close()
    assert threading.active_count() == before


def test_items_are_drawn_one_ahead() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(9):
            drawn.append(item)
            yield item

    counts = list(pipeline(items(), same, lambda _: len(drawn), same))
    assert counts == [2, 3, 4, 5, 6, 7, 8, 9, 9]
