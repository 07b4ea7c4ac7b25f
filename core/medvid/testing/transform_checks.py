"""Checks of transforms: what decides the change, and what stays as it was."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.plugin.specs import Axes, TransformSpec
from medvid.testing.check import Subject, expect
from medvid.testing.fake_gpu import META, NoMixing, expect_no_wait

SIZE: dict[Axes, tuple[int, ...]] = {"image": (12, 16), "volume": (8, 12, 16), "video": (4, 12, 16)}
LABELS, SEEDS = 3, range(20)


def check_generator(subject: Subject) -> None:
    """The generator alone decides: the same one gives the same bits, whatever torch's global state is."""
    for axes, transform in _built(subject):
        state, first = torch.get_rng_state(), _changed(subject, transform, axes, 0)
        expect(torch.equal(torch.get_rng_state(), state), f"on {axes}s it draws from torch's global generator")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            again = _changed(subject, transform, axes, 0)
        expect(_equal(first, again), f"on {axes}s the same generator gives another result")


def check_change(subject: Subject) -> None:
    """Over a few generators, something changes."""
    for axes, transform in _built(subject):
        before = _batch(subject, axes)
        changes = any(not _equal(_changed(subject, transform, axes, seed), before) for seed in SEEDS)
        expect(changes, f"on {axes}s nothing changes with any of {len(SEEDS)} generators")


def check_input(subject: Subject) -> None:
    """The batch that it is given stays as it was, since that may be kept in memory for the next epoch."""
    for axes, transform in _built(subject):
        given = _batch(subject, axes)
        for seed in SEEDS:
            transform(given, torch.Generator().manual_seed(seed))
            expect(_equal(given, _batch(subject, axes)), f"on {axes}s it changes the batch that it is given")


def check_shapes(subject: Subject) -> None:
    """Cases, channels, axes and types stay, inputs stay finite, and no label is invented."""
    for axes, transform in _built(subject):
        before = _batch(subject, axes)
        for seed in SEEDS:
            after = _changed(subject, transform, axes, seed)
            expect(after.cases == before.cases, f"on {axes}s it changes the names of the cases")
            kept = after.input.ndim == before.input.ndim and after.input.shape[:2] == before.input.shape[:2]
            expect(kept, f"on {axes}s an input {list(before.input.shape)} becomes {list(after.input.shape)}")
            expect(after.input.dtype == before.input.dtype, f"on {axes}s the input becomes {after.input.dtype}")
            expect(bool(torch.isfinite(after.input).all()), f"on {axes}s the input is not finite any more")
            if after.target.dtype == before.target.dtype:
                known = set(before.target.flatten().tolist())
                invented = set(after.target.flatten().tolist()) - known
                expect(not invented, f"on {axes}s there are labels that there were not: {sorted(invented)}")


def check_pickles(subject: Subject) -> None:
    """It can be sent to a loader process, and does the same there."""
    for axes, transform in _built(subject):
        copy = pickle.loads(pickle.dumps(transform))  # noqa: S301 (its own pickle)
        same = _equal(_changed(subject, copy, axes, 0), _changed(subject, transform, axes, 0))
        expect(same, f"on {axes}s a copy gives another result")


def check_device(subject: Subject) -> None:
    """Where it says that it can, it changes examples where they are, and needs no value of them."""
    for axes, transform in _built(subject):
        for seed in SEEDS if transform.on_device else ():
            with expect_no_wait(f"on {axes}s that are on the meta device"), NoMixing():
                after = _changed(subject, transform, axes, seed, META)
            devices = {after.input.device, after.target.device}
            expect(devices == {META}, f"on {axes}s of the meta device the result is on {devices}")


TRANSFORM_CHECKS = (check_generator, check_change, check_input, check_shapes, check_pickles, check_device)


def _built(subject: Subject) -> Iterator[tuple[Axes, Transform]]:
    for axes in cast(TransformSpec, subject.spec).axes:
        transform: Transform = subject.make_target()
        transform.axes = axes
        yield axes, transform


def _batch(subject: Subject, axes: Axes) -> Batch:
    """A labelled example, or several with a label each for transforms of whole batches."""
    generator, whole = torch.Generator().manual_seed(0), cast(TransformSpec, subject.spec).acts_on == "batch"
    cases, size = 4 if whole else 1, SIZE[axes]
    target = torch.randint(LABELS, (cases,) if whole else (cases, *size), generator=generator)
    return Batch(torch.rand(cases, 3, *size, generator=generator), target, tuple(map(str, range(cases))))


def _changed(
    subject: Subject, transform: Transform, axes: Axes, seed: int, device: torch.device | None = None
) -> Batch:
    batch = _batch(subject, axes)
    if transform.needs_mask:
        batch = replace(batch, mask=batch.input[:, 0] > 0.5)
    return transform(batch.to(device) if device else batch, torch.Generator().manual_seed(seed))


def _equal(one: Batch, other: Batch) -> bool:
    return torch.equal(one.input, other.input) and torch.equal(one.target, other.target)
