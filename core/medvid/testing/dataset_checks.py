"""Checks of data sets: the contract with the training loop and with loader processes.

They run on the data set's generated sample, or on a folder that the plugin's own tests provide.
"""

import json
import pickle
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from medvid.data.sample import Batch
from medvid.errors import DataError, MedvidError
from medvid.testing.check import expect
from medvid.testing.dataset_subject import DatasetSubject, ignore, splits_of
from medvid.training.batches import training_batches


def infos(subject: DatasetSubject) -> None:
    """Data set, options and spec agree on inputs and labels."""
    dataset, spec = subject.open(), subject.dataset_spec
    for name, found, wanted in (
        ("input_info", dataset.input_info, subject.options.input_info()),
        ("target_info", dataset.target_info, subject.options.target_info()),
    ):
        expect(found == wanted, f"{name} of the data set is {found}, that of its options {wanted}")
    expect(dataset.input_info.layout == spec.layout, f"layout is {dataset.input_info.layout}, the spec: {spec.layout}")
    expect(dataset.target_info.task == spec.task, f"task is {dataset.target_info.task}, the spec: {spec.task}")


def cases(subject: DatasetSubject) -> None:
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
    expect(False, "a split that there is not is no DataError")


def samples(subject: DatasetSubject) -> None:
    """Training examples have the declared shape, are finite, and their labels are in range."""
    dataset, labels = subject.prepared(), len(subject.options.target_info().labels)
    info = dataset.input_info
    for case in subject.splits["train"]:
        batch = dataset.sample(case, 1)
        count = len(batch.input)
        what = f"the sample of case {case}"
        wanted = (count, info.channels, *info.size)
        expect(count > 0 and batch.input.shape == wanted, f"{what} is {tuple(batch.input.shape)}, not {wanted}")
        expect(batch.input.dtype == torch.float32, f"{what} is {batch.input.dtype}, not float32")
        expect(bool(torch.isfinite(batch.input).all()), f"{what} is not finite")
        wanted = (count, *info.size) if subject.is_segmentation else (count,)
        expect(batch.target.shape == wanted, f"the target of {case} is {tuple(batch.target.shape)}, not {wanted}")
        expect(batch.target.dtype == torch.int64, f"the target of {case} is {batch.target.dtype}, not int64")
        expect(_in_range(batch.target, labels), f"the target of {case} holds labels outside of 0 to {labels - 1}")
        expect(batch.cases == (case,) * count, f"{what} says that it is of {batch.cases}")


def seeds(subject: DatasetSubject) -> None:
    """The seed alone decides what a sample is, and other seeds give other samples."""
    dataset, case = subject.prepared(), subject.splits["train"][0]
    found = []
    for state in (1, 2):
        with _global_state(state):
            found.append(dataset.sample(case, 7))
            dataset.sample(case, 8)
    expect(_equal(*found), "the same seed gives another sample where global random states differ")
    others = [dataset.sample(case, seed) for seed in range(10, 18)]
    expect(any(not _equal(found[0], other) for other in others), "all seeds give the same sample: nothing is random")


def workers(subject: DatasetSubject) -> None:
    """Loader processes give the same batches as no process."""
    dataset, names = subject.prepared(), subject.splits["train"]
    streams = (
        training_batches(dataset, names, seed=3, batch_size=1, first=0, stop=3, workers=count) for count in (0, 2)
    )
    for here, there in zip(*streams, strict=True):
        expect(here.cases == there.cases and _equal(here, there), "a loader process gives another sample")


def pickles(subject: DatasetSubject) -> None:
    """The data set goes into another process, also after it was used."""
    dataset, case = subject.prepared(), subject.splits["train"][0]
    wanted = dataset.sample(case, 5)
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301 (its own pickle)
    expect(_equal(again.sample(case, 5), wanted), "pickled, it gives another sample")


def digests(subject: DatasetSubject) -> None:
    """The digest is 32 hex digits, the same for the same cases, another one for others; fingerprints stay the same."""
    first, names = subject.prepared(), subject.splits["train"]
    digest = first.digest(names)
    expect(bool(re.fullmatch("[0-9a-f]{32}", digest)), f"the digest is {digest!r}, not 32 hex digits")
    expect(subject.prepared().digest(names) == digest, "opened and prepared again, the digest is another")
    others = subject.held_out
    expect(others == names or first.digest(others) != digest, "other cases have the same digest")
    found = [{case: dataset.fingerprint(case) for case in names} for dataset in (first, subject.prepared())]
    expect(found[0] == found[1], "opened and prepared again, a case has another fingerprint")


def labels(subject: DatasetSubject) -> None:
    """What is held out has labels, so that it can be scored."""
    bare = set(subject.held_out) - set(subject.open().labelled())
    expect(not bare, f"held-out cases are not among the labelled ones: {', '.join(sorted(bare)[:5])}")


def check(subject: DatasetSubject) -> None:
    """Opened for `platform check` and `platform data check`, all cases of the sample are good."""
    dataset = subject.open()
    names = [case for cases in dataset.splits.values() for case in cases]
    for error in dataset.check(names, ignore).values():
        expect(False, f"check refuses the data set's own sample: {error}")


def descriptions(subject: DatasetSubject) -> None:
    """What it says of its training cases is JSON, and a data set that is pointed elsewhere takes it."""
    description = subject.prepared().describe(subject.splits["train"])
    try:
        kept = json.loads(json.dumps(description, allow_nan=False))
    except (TypeError, ValueError) as error:
        expect(False, f"what describe returns cannot be kept as JSON: {error}")
    with tempfile.TemporaryDirectory() as folder:
        subject.load(subject.spec.target)(subject.read({**subject.block, "root": folder})).remember(kept)


def missing_data(subject: DatasetSubject) -> None:
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


DATASET_CHECKS = (infos, cases, samples, seeds, workers, pickles, digests, labels, check, descriptions, missing_data)


def _in_range(target: torch.Tensor, labels: int) -> bool:
    return bool((target >= 0).all()) and bool((target < labels).all())


def _equal(one: Batch, other: Batch) -> bool:
    return torch.equal(one.input, other.input) and torch.equal(one.target, other.target)


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
