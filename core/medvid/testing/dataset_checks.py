"""Checks of data sets: the contract with the training loop and with loader processes.

They run on the data set's demo data, or on a folder that the plugin's own tests provide.
"""

import json
import pickle
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from medvid.data.batch import Batch, collate
from medvid.data.fold_files import write_folds
from medvid.data.fold_options import FoldsOptions
from medvid.data.folds import cases_to_divide, make_folds
from medvid.data.loading.batches import training_batches
from medvid.data.loading.workers import Loading
from medvid.data.targets import target_dtype
from medvid.data.transform import Transform
from medvid.data.transforms.deferred import defer
from medvid.data.transforms.draws import fractions
from medvid.data.transforms.floats import as_floats
from medvid.errors import DataError, MedvidError
from medvid.plugin.info import MOST, UNKNOWN, TargetInfo, described, none_of
from medvid.testing.check import NotApplicableError, expect
from medvid.testing.dataset_subject import DatasetSubject, ignore, splits_of


def check_infos(subject: DatasetSubject) -> None:
    """Data set, options and spec agree on inputs and labels."""
    dataset, spec = subject.open(), subject.dataset_spec
    for name, found, wanted in (
        ("input_info", dataset.input_info, subject.options.input_info()),
        ("target_info", dataset.target_info, subject.options.target_info()),
    ):
        expect(found == wanted, f"{name} of the data set is {found}, that of its options {wanted}")
    expect(dataset.input_info.axes == spec.axes, f"axes are {dataset.input_info.axes}, the spec: {spec.axes}")
    target = dataset.target_info
    said = " or ".join(described(spec.where, what) for what in spec.what)
    expect(
        target.where == spec.where and target.what in spec.what,
        f"the target is {described(target.where, target.what)}, in the spec {said}",
    )


def check_cases(subject: DatasetSubject) -> None:
    """Each case is in one split, once; a split that there is not is a DataError."""
    splits = subject.splits
    expect(bool(splits.get("train")), "there are no training cases")
    expect(len(splits) > 1, "there is neither a validation nor a test split to evaluate on")
    everything = [case for names in splits.values() for case in names]
    doubled = sorted({case for case in everything if everything.count(case) > 1})
    expect(not doubled, f"cases are named twice, or in two splits: {', '.join(doubled[:5])}")
    expect(dict(splits_of(subject.open())) == splits, "opened again, the splits have other cases, or another order")
    try:
        subject.open().cases("no such split")
    except DataError:
        return
    expect(False, "an unknown split does not raise a DataError")


def check_folds(subject: DatasetSubject) -> None:
    """Its cases can be divided into folds with like shares of its labels, of which `dataset.fold` chooses one."""
    dataset = subject.open()
    if len({dataset.groups().get(case, case) for case in cases_to_divide(dataset)}) < 2:
        raise NotApplicableError("there is only one case, or one patient, to divide")
    folds = make_folds(dataset, FoldsOptions(count=2, stratify="labels"))
    own = {key: value for key, value in subject.example.options.items() if key not in {"split", "validation_fraction"}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splits.json"
        write_folds(path, folds)
        example = replace(subject.example, options={**own, "fold": {"file": str(path), "index": 1}})
        chosen = replace(subject, example=example).open()
        found = {"train": list(chosen.division["train"]), "val": list(chosen.cases("validation"))}
    expect(found == folds[1], "dataset.fold is one of a file, but other cases are trained on or held out")


def check_draws(subject: DatasetSubject) -> None:
    """Training examples have the declared shape, are finite floats or bytes, and their labels are in range."""
    dataset = subject.prepared()
    info, target_info = dataset.input_info, dataset.target_info
    for case in subject.splits["train"]:
        batch = dataset.draw(case, 1)
        count = len(batch.input)
        what = f"the draw from case {case}"
        wanted = (count, info.channels, *info.size)
        expect(count > 0 and batch.input.shape == wanted, f"{what} is {tuple(batch.input.shape)}, not {wanted}")
        dtype = torch.uint8 if batch.pixels else torch.float32
        expect(batch.input.dtype == dtype, f"{what} is {batch.input.dtype}, not {dtype}")
        marked = count if batch.pixels is None else len(batch.pixels.erased)
        expect(marked == count, f"{what} has {count} examples, its pixels are those of {marked}")
        expect(bool(torch.isfinite(_placed(batch).input).all()), f"{what} is not finite")
        wanted = (count, *dataset.target_info.target_shape(info.axes, info.size))
        expect(batch.target.shape == wanted, f"the target of {case} is {tuple(batch.target.shape)}, not {wanted}")
        dtype = target_dtype(target_info)
        expect(batch.target.dtype == dtype, f"the target of {case} is {batch.target.dtype}, not {dtype}")
        expect(_in_range(batch.target, target_info), f"the target of {case} holds {_range(target_info)}")
        expect(batch.cases == (case,) * count, f"{what} says that it is of {batch.cases}")


def check_seeds(subject: DatasetSubject) -> None:
    """The seed alone decides what is drawn, and other seeds draw something else."""
    dataset, case = subject.prepared(), subject.splits["train"][0]
    found = []
    for state in (1, 2):
        with _global_state(state):
            found.append(dataset.draw(case, 7))
            dataset.draw(case, 8)
    expect(_equal(*found), "the same seed draws something else where global random states differ")
    others = [dataset.draw(case, seed) for seed in range(10, 18)]
    expect(any(not _equal(found[0], other) for other in others), "all seeds draw the same: nothing is random")


class _Shift(Transform):
    """Adds a random number."""

    on_device = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        batch = as_floats(batch)
        return replace(batch, input=batch.input + fractions(1, generator)[0])


def check_deferred(subject: DatasetSubject) -> None:
    """Where it says that transforms come last, they may as well follow on the device."""
    dataset, case = subject.prepared(), subject.splits["train"][0]
    if not dataset.transforms_last:
        return
    drawn = []
    for transforms in ((_Shift(),), defer([_Shift()])):
        dataset.transforms = transforms
        drawn.append(collate([dataset.draw(case, seed) for seed in (5, 6)]))
    expect(_equal(*drawn), "where its transforms follow on the device, it trains on something else")


def check_workers(subject: DatasetSubject) -> None:
    """Loader processes give the same batches as no process."""
    dataset, names = subject.prepared(), subject.splits["train"]
    streams = (
        training_batches(dataset, names, seed=3, batch_size=1, first=0, stop=3, loading=Loading(count))
        for count in (0, 2)
    )
    for here, there in zip(*streams, strict=True):
        expect(here.cases == there.cases and _equal(here, there), "a loader process draws something else")


def check_pickles(subject: DatasetSubject) -> None:
    """The data set goes into another process, also after it was used."""
    dataset, case = subject.prepared(), subject.splits["train"][0]
    wanted = dataset.draw(case, 5)
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301 (its own pickle)
    expect(_equal(again.draw(case, 5), wanted), "pickled, it draws something else")


def check_digests(subject: DatasetSubject) -> None:
    """The digest is 32 hex digits, the same for the same cases, another one for others; fingerprints stay the same."""
    first, names = subject.prepared(), subject.splits["train"]
    digest = first.digest(names)
    expect(bool(re.fullmatch("[0-9a-f]{32}", digest)), f"the digest is {digest!r}, not 32 hex digits")
    expect(subject.prepared().digest(names) == digest, "opened and prepared again, the digest is another")
    others = subject.held_out
    expect(others == names or first.digest(others) != digest, "other cases have the same digest")
    found = [{case: dataset.fingerprint(case) for case in names} for dataset in (first, subject.prepared())]
    expect(found[0] == found[1], "opened and prepared again, a case has another fingerprint")


def check_labels(subject: DatasetSubject) -> None:
    """What is held out has labels, so that it can be scored."""
    bare = set(subject.held_out) - set(subject.open().labelled())
    expect(not bare, f"held-out cases are not among the labelled ones: {', '.join(sorted(bare)[:5])}")


def check_opening(subject: DatasetSubject) -> None:
    """Opened for `platform check` and `platform data check`, all cases of the demo data are good."""
    dataset = subject.open()
    names = [case for cases in dataset.splits.values() for case in cases]
    for error in dataset.check(names, ignore).values():
        expect(False, f"check refuses the data set's own demo data: {error}")


def check_descriptions(subject: DatasetSubject) -> None:
    """What it says of its training cases is JSON, and a data set that is pointed elsewhere takes it."""
    description = subject.prepared().describe(subject.splits["train"])
    try:
        kept = json.loads(json.dumps(description, allow_nan=False))
    except (TypeError, ValueError) as error:
        expect(False, f"what describe returns cannot be kept as JSON: {error}")
    with tempfile.TemporaryDirectory() as folder:
        subject.load(subject.spec.target)(subject.read({**subject.block, "root": folder})).remember(kept)


def check_missing_data(subject: DatasetSubject) -> None:
    """An empty folder is an error of medvid's own, with a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            empty = subject.read({**subject.block, "root": folder})
            dataset = subject.load(subject.spec.target)(empty)
            dataset.prepare(dataset.cases("train"), ignore)
        except MedvidError as error:
            expect(bool(str(error)), "an empty folder is an error without a message")
            return
    expect(False, "an empty folder passes for a data set")


DATASET_CHECKS = (
    check_infos,
    check_cases,
    check_folds,
    check_draws,
    check_deferred,
    check_seeds,
    check_workers,
    check_pickles,
    check_digests,
    check_labels,
    check_opening,
    check_descriptions,
    check_missing_data,
)


def _in_range(target: torch.Tensor, info: TargetInfo) -> bool:
    if info.what == "value":
        return bool(target.isfinite().all()) or (info.has_unknown and not bool(target.isinf().any()))
    low, top = UNKNOWN if info.has_unknown else 0, len(info.names) - 1 if info.what == "class" else 1
    if info.has_partial:
        low = none_of(range(min(len(info.names), MOST + 1)))
    return bool((target >= low).all()) and bool((target <= top).all())


def _range(info: TargetInfo) -> str:
    if info.what == "value":
        return "values that are not finite"
    return f"labels outside of 0 to {len(info.names) - 1 if info.what == 'class' else 1}"


def _equal(one: Batch, other: Batch) -> bool:
    one, other = _placed(one), _placed(other)
    return torch.equal(one.input, other.input) and torch.equal(one.target.nan_to_num(), other.target.nan_to_num())


def _placed(batch: Batch) -> Batch:
    """The batch as a model takes it."""
    return batch.to(torch.device("cpu"))


@contextmanager
def _global_state(seed: int) -> Iterator[None]:
    """Random numbers that nobody should draw from."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        yield
    random.setstate(before[0])
    np.random.set_state(before[1])
