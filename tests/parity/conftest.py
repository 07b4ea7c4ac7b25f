"""The script under test, imported as Python does when it runs it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.parity.recorded import Comparison


@pytest.fixture(scope="session")
def verify() -> Iterator[Callable[[Sequence[str]], int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        import verify

        yield verify.main


@pytest.fixture
def comparison(
    verify: Callable[[Sequence[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Comparison:
    return Comparison(verify, tmp_path, capsys)
