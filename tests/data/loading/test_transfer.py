"""Batches on their way to the device."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.batch import Batch
from medvid.data.loading.transfer import on_device, one_ahead


@given(st.integers(0, 6), st.booleans(), st.integers(0, 6))
def test_each_value_comes_once_in_order_and_an_error_in_its_place(count: int, fails: bool, taken: int) -> None:
    drawn: list[int] = []

    def values() -> Iterator[int]:
        for value in range(count):
            drawn.append(value)
            yield value
        if fails:
            raise RuntimeError(str(count))

    ahead = one_ahead(values())
    for wanted in range(min(count, taken)):
        assert next(ahead) == wanted
        assert drawn == list(range(min(wanted + 2, count)))
    if taken <= count:
        ahead.close()
        assert len(drawn) <= taken + 1
    elif fails:
        with pytest.raises(RuntimeError, match=str(count)):
            next(ahead)
    else:
        assert next(ahead, None) is None


def test_batches_arrive_as_models_take_them() -> None:
    batches = [Batch(torch.randn(2, 3, 4, 4), torch.tensor([i, 1], dtype=torch.uint8), ("a", "b")) for i in range(3)]
    placed = on_device(iter(batches), torch.device("cpu"), torch.channels_last)
    first = next(placed)
    assert torch.equal(first.input, batches[0].input)
    assert first.input.is_contiguous(memory_format=torch.channels_last)
    assert [each.target.tolist() for each in placed] == [[1, 1], [2, 1]]
