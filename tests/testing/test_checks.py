"""Each check of the kit fails on a component that breaks just that promise, and says what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from medvid.plugin.specs import ComponentSpec, Example
from medvid.testing import CheckResult

Make = Callable[..., Any]
Outcome = Callable[[ComponentSpec, str], tuple[str, str]]
Results = Callable[..., dict[str, CheckResult]]

BACKBONES = {
    "features": ("Grows", "declared are 4 channels"),
    "features ": ("Shrinks", "declared are strides [2, 2]"),
    "sizes": ("Silent", "check_input accepts size [8, 16], but"),
    "gradients": ("Idle", "spare"),
    "parts": ("Centres", "in parts of 1 and 2 examples,"),
    "input_gradient": ("Cuts", "do not depend on the input"),
    "deterministic": ("Noisy", "run again, map 1 deviates"),
    "examples_apart": ("Mixes", "map 1 deviates"),
    "state": ("Hides", "map 1 deviates"),
    "layers": ("Reverses", "not in the order"),
    "layers ": ("Misnames", "'tabel', which is not a parameter"),
    "gradient_checkpointing": ("Remembers", "deviates"),
    "bf16": ("Coarse", "with bf16 map 1 deviates"),
    "float64": ("Casts", "torch.float32"),
    "channels_last": ("Views", "view"),
    "devices": ("OnCpu", "on the meta device, in training, it fails"),
    "devices ": ("Asks", "on the meta device, in training, it fails"),
    "devices  ": ("Looks", "on a GPU that is faked it fails"),
    "compiles": ("Asks", "torch.compile breaks off"),
    "exports": ("Asks", "torch.export fails"),
}
HEADS = {
    "logits": ("Crops", "not [2, 3, 32, 32]"),
    "loss": ("Scatters", "not that of a scalar"),
    "loss ": ("Misnames", 'without "loss"'),
    "loss  ": ("Rewards", "is not below that of wrong ones"),
    "gradients": ("Idle", "spare"),
    "parts": ("Dilutes", "in parts of 1 and 3 examples, linear.weight deviates"),
    "mix": ("Drops", "mix turns"),
    "deterministic": ("Noisy", "run again, logits deviates"),
    "state": ("Hides", "with the state of another"),
    "precisions": ("Casts", "something casts"),
    "channels_last": ("Views", "view"),
    "devices": ("Asks", "on the meta device it fails"),
    "devices ": ("OnCpu", "on a GPU that is faked it fails"),
    "compiles": ("Asks", "torch.compile breaks off"),
}
DATASETS = {
    "infos": ("Contradicts", "input_info of the data set"),
    "cases": ("Overlaps", "shared"),
    "folds": ("Insists", "dataset.fold is one of a file, but other cases are trained on or held out"),
    "draws": ("Flat", "is (1, 8, 12, 4)"),
    "draws ": ("Strange", "labels outside of 0 to 2"),
    "seeds": ("Gambles", "global random states"),
    "seeds ": ("Repeats", "nothing is random"),
    "deferred": ("Finishes", "follow on the device, it trains on something else"),
    "workers": ("Divides", "loader process draws something else"),
    "pickles": ("Clings", "cannot pickle"),
    "digests": ("Forgets", "same digest"),
    "labels": ("Hides", "not among the labelled ones"),
    "opening": ("Refuses", "check refuses the data set's own demo data: toy"),
    "descriptions": ("Rambles", "cannot be kept as JSON"),
    "evaluation": ("Renames", "calls itself"),
    "geometry": ("Turns", "native_shape"),
    "geometry ": ("Mirrors", "not where they belong"),
    "probabilities": ("Spills", "unnamed.npy"),
}
PROTOCOLS = {
    "files": ("grim", "medpy is missing"),
    "figures": ("halves", "right answers have dice"),
}
SPECS = {
    "light_imports": ({"config": "toy_heavy:HeavyOptions"}, "imports numpy"),
    "targets": ({"target": "Godo"}, "no attribute 'Godo'"),
    "options": ({"config": "toy_options:DoublingOptions"}, "the options change"),
    "options ": ({"examples": (Example({"width": "wide"}, axes="image", size=(8, 8)),)}, "width: should be"),
    "unknown_option": ({"config": "toy_options:OpenOptions"}, "unknown option is accepted"),
    "documented": ({"summary": ""}, "no summary"),
    "features": ({"features": ("maps",)}, "the spec declares ['maps']"),
    "features ": ({"examples": (Example(axes="image", size=(8,)),)}, "each of its axes"),
    "features  ": ({"axes": ("image", "video")}, "names the axes video, but has no example"),
    "sizes": ({"config": "toy_options:SilentOptions"}, "check_input refuses size [7, 7]"),
    "sizes ": ({"config": "toy_options:BoldOptions"}, "check_input accepts size [7, 7], but"),
    "sizes  ": (
        {"config": "toy_options:StrictOptions", "target": "Silent"},
        "forward refuses size [8, 16] by a message that names no length",
    ),
    "sizes   ": (
        {"config": "toy_options:StrictOptions", "target": "Crashes"},
        "forward of size [8, 16] raises RuntimeError",
    ),
}


@pytest.mark.parametrize(("check", "broken"), BACKBONES.items(), ids=[name for name, _ in BACKBONES.values()])
def test_broken_backbones_fail(check: str, broken: tuple[str, str], backbone: Make, outcome: Outcome) -> None:
    _expect_failure(outcome(backbone(broken[0]), check.strip()), broken[1])


@pytest.mark.parametrize(("check", "broken"), HEADS.items(), ids=[name for name, _ in HEADS.values()])
def test_broken_heads_fail(check: str, broken: tuple[str, str], head: Make, outcome: Outcome) -> None:
    _expect_failure(outcome(head(broken[0]), check.strip()), broken[1])


@pytest.mark.parametrize(("check", "broken"), DATASETS.items(), ids=[name for name, _ in DATASETS.values()])
def test_broken_datasets_fail(check: str, broken: tuple[str, str], dataset: Make, outcome: Outcome) -> None:
    _expect_failure(outcome(dataset(broken[0]), check.strip()), broken[1])


@pytest.mark.parametrize(("check", "broken"), PROTOCOLS.items(), ids=[name for name, _ in PROTOCOLS.values()])
def test_broken_protocols_fail(check: str, broken: tuple[str, str], protocol: Make, outcome: Outcome) -> None:
    _expect_failure(outcome(protocol(broken[0]), check.strip()), broken[1])


@pytest.mark.parametrize(("check", "broken"), SPECS.items(), ids=[name.replace(" ", "+") for name in SPECS])
def test_broken_specs_fail(check: str, broken: tuple[Any, str], backbone: Make, outcome: Outcome) -> None:
    _expect_failure(outcome(backbone(**broken[0]), check.strip()), broken[1])


def test_a_data_set_that_ignores_its_folder_fails(dataset: Make, outcome: Outcome) -> None:
    spec = dataset("ToyDataset")
    _expect_failure(outcome(spec, "missing_data"), "empty folder passes")


def _components(backbone: Make, head: Make, dataset: Make, protocol: Make) -> Iterator[ComponentSpec]:
    yield from (backbone(), head(), dataset(), protocol())


def test_components_that_keep_to_the_contract_pass(
    backbone: Make, head: Make, dataset: Make, protocol: Make, results: Results
) -> None:
    for spec in _components(backbone, head, dataset, protocol):
        found = {result.check: result.reason for result in results(spec).values() if result.outcome != "ok"}
        assert not found


def test_every_check_has_a_component_that_fails_it(
    backbone: Make, head: Make, dataset: Make, protocol: Make, results: Results
) -> None:
    tested = [{*BACKBONES, *SPECS}, {*HEADS, *SPECS}, {*DATASETS, *SPECS, "missing_data"}, {*PROTOCOLS, *SPECS}]
    for spec, names in zip(_components(backbone, head, dataset, protocol), tested, strict=True):
        assert set(results(spec)) <= {name.strip() for name in names}


def _expect_failure(found: tuple[str, str], reason: str) -> None:
    outcome, said = found
    assert outcome == "failed"
    assert reason in said
