"""The script under test, imported as Python does when it runs it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def verify() -> Iterator[Callable[[Sequence[str]], int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        import verify

        yield verify.main
