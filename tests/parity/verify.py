"""Compare medvid with fixtures of published code and figures: ``python tests/parity/verify.py FILE ...``.

A fixture is a .safetensors file (``state.<published key>``, input, output, target, intermediates) with a .json beside
it that says how the published model was made and what it computed. Exit code 0: everything agrees; 1: something
differs; 2: a file is no fixture, or of a model that has no adapter.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from comparison.adapter import Adapter
from comparison.augmentation import (
    compare_effects,
    compare_patches,
    compare_setup,
    is_effects_fixture,
    is_patches_fixture,
)
from comparison.checks import Check, compare
from comparison.ensembles import compare_ensembles, is_ensembles_fixture
from comparison.figures.compare import compare_figures, is_figures_fixture
from comparison.fixture import Fixture, UnknownFormatError, read_fixture
from comparison.formats import compare_formats, is_formats_fixture
from comparison.frames import STAMAdapter, VTNAdapter
from comparison.google_npz import compare_npz, is_npz_fixture, read_npz_fixture
from comparison.losses import compare_losses, is_losses_fixture
from comparison.medt import MedTAdapter
from comparison.mvit import MViTAdapter
from comparison.networks import compare_network, is_network_fixture
from comparison.plans import compare_plans, is_plans_fixture
from comparison.postprocessing import compare_postprocessing, is_postprocessing_fixture
from comparison.preparation import compare_preparation, is_preparation_fixture
from comparison.recipe import compare_recipe, is_recipe_fixture
from comparison.scores import compare_scores, is_scores_fixture
from comparison.summary import compare_summary, is_summary_fixture
from comparison.timesformer import TimeSformerAdapter
from comparison.transunet import TransUNetAdapter
from comparison.tubelets import VideoMAEAdapter, VJEPAAdapter
from comparison.unetr import UNETRAdapter
from comparison.vivit import vivit_adapter

from medvid.errors import MedvidError

ADAPTERS: dict[str, Callable[[Fixture], Adapter]] = {
    "UNETR": UNETRAdapter,
    "TransUNet": TransUNetAdapter,
    "MedT": MedTAdapter,
    "vivit": vivit_adapter,
    "videomae": VideoMAEAdapter,
    "vjepa": VJEPAAdapter,
    "stam": STAMAdapter,
    "vtn": VTNAdapter,
    "timesformer": TimeSformerAdapter,
    "mvit": MViTAdapter,
}
"""By the model's name in the fixture, without the variant that may follow after a slash or an underscore."""

FIXTURES: Sequence[tuple[str, Callable[[Path], bool], Callable[[Path], Iterable[Check]]]] = (
    ("ImageNet weights for TransUNet", is_npz_fixture, lambda path: compare_npz(read_npz_fixture(path))),
    ("scores, learning rates and resampling", is_scores_fixture, compare_scores),
    ("figures", is_figures_fixture, compare_figures),
    ("samples of formats", is_formats_fixture, compare_formats),
    ("the summary of nnU-Net", is_summary_fixture, compare_summary),
    ("plans of nnU-Net", is_plans_fixture, compare_plans),
    ("changes of examples of nnU-Net", is_effects_fixture, compare_effects),
    ("patches of nnU-Net", is_patches_fixture, compare_patches),
    ("losses of nnU-Net", is_losses_fixture, compare_losses),
    ("post-processing of nnU-Net", is_postprocessing_fixture, compare_postprocessing),
    ("ensembles of nnU-Net", is_ensembles_fixture, compare_ensembles),
    ("rules of nnU-Net", is_recipe_fixture, lambda path: chain(compare_recipe(path), compare_setup(path))),
    ("networks of nnU-Net", is_network_fixture, compare_network),
    ("the preparation of nnU-Net", is_preparation_fixture, compare_preparation),
)
"""Those that are not of models, in words; the first that takes a file compares it."""


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
    for title, is_fixture, compare_all in FIXTURES:
        if is_fixture(path):
            return title, list(compare_all(path))
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
