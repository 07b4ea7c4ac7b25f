"""Compare medvid's models with fixtures of the published code: ``python tests/parity/verify.py FILE.safetensors ...``.

A fixture is a .safetensors file (``state.<published key>``, input, output, target, intermediates) with a .json beside
it that says how the published model was made and what it computed. Exit code 0: everything agrees; 1: something
differs; 2: a file is no fixture, or of a model that has no adapter.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from comparison.adapter import Adapter
from comparison.checks import Check, compare
from comparison.fixture import Fixture, UnknownFormatError, read_fixture
from comparison.frames import STAMAdapter, VTNAdapter
from comparison.google_npz import compare_npz, is_npz_fixture, read_npz_fixture
from comparison.medt import MedTAdapter
from comparison.mvit import MViTAdapter
from comparison.scores import compare_scores, is_scores_fixture
from comparison.timesformer import TimeSformerAdapter
from comparison.transunet import TransUNetAdapter
from comparison.unetr import UNETRAdapter
from comparison.vivit import vivit_adapter

from medvid.errors import MedvidError

ADAPTERS: dict[str, Callable[[Fixture], Adapter]] = {
    "UNETR": UNETRAdapter,
    "TransUNet": TransUNetAdapter,
    "MedT": MedTAdapter,
    "vivit": vivit_adapter,
    "stam": STAMAdapter,
    "vtn": VTNAdapter,
    "timesformer": TimeSformerAdapter,
    "mvit": MViTAdapter,
}
"""By the model's name in the fixture, without the variant that may follow after a slash or an underscore."""


def main(arguments: Sequence[str]) -> int:
    """Verify the files and return the exit code; the highest of all files counts."""
    if not arguments:
        print(__doc__)
        return 2
    return max([_verify(Path(argument)) for argument in arguments])


def _verify(path: Path) -> int:
    try:
        title, checks = _compare(path)
    except UnknownFormatError as error:
        print(f"{path}: unknown format: {error}", file=sys.stderr)
        return 2
    except MedvidError as error:
        print(f"{path}: differs: {error}", file=sys.stderr)
        return 1
    _print_table(f"{path.name}: {title}", checks)
    return 0 if all(check.passed for check in checks) else 1


def _compare(path: Path) -> tuple[str, list[Check]]:
    if is_npz_fixture(path):
        return "ImageNet weights for TransUNet", list(compare_npz(read_npz_fixture(path)))
    if is_scores_fixture(path):
        return "scores, learning rates and resampling", list(compare_scores(path))
    fixture = read_fixture(path)
    return f"{fixture.model} ({fixture.reference})", list(compare(fixture, _adapter(fixture)))


def _adapter(fixture: Fixture) -> Adapter:
    name = re.split("[/_]", fixture.model)[0]
    if name not in ADAPTERS:
        raise UnknownFormatError(f"no adapter for {fixture.model!r}, only for {', '.join(ADAPTERS)}")
    return ADAPTERS[name](fixture)


def _print_table(title: str, checks: Sequence[Check]) -> None:
    print(title)
    print(f"  {'':42}{'difference':>12}{'allowed':>10}")
    for check in checks:
        verdict = "ok" if check.passed else "DIFFERS"
        print(f"  {check.name:42}{check.difference:12.1e}{check.tolerance:10.0e}  {verdict}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
