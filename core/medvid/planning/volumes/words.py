"""The facts of cases in words, for the head of a task and for its comments."""

from collections.abc import Iterator, Sequence

import numpy as np

from medvid.data.volumes.labels import LabelScheme
from medvid.planning.volumes.facts import CaseFacts
from medvid.sentences import listed


def by(sizes: Sequence[float] | np.ndarray) -> str:
    """Sizes with a cross between them, three digits each."""
    return " x ".join(f"{size:.3g}" if size < 1000 else f"{size:.0f}" for size in sizes)


def facts_in_words(facts: Sequence[CaseFacts], scheme: LabelScheme) -> Iterator[str]:
    """A line on sizes, and one on each label."""
    spacing, shape = (np.array([getattr(each, name) for each in facts]) for name in ("spacing", "cropped"))
    yield (
        f"{len(facts)} cases, axes R, A, S: voxels of {_range(spacing)} mm (median {by(np.median(spacing, 0))}); "
        f"{_range(shape)} voxels that are not 0 (median {by(np.median(shape, 0))})"
    )
    counts = np.array([each.label_voxels for each in facts], dtype=float)
    millilitres = counts * spacing.prod(axis=1, keepdims=True) / 1000
    voxels = sum(np.prod(each.shape) for each in facts)
    for name, ids in _labels(scheme):
        present = counts[:, ids].sum(1) > 0
        size = f", median {np.median(millilitres[:, ids].sum(1)[present]):.3g} ml" if present.any() else ""
        share = counts[:, ids].sum() / voxels
        yield f"label {name}: in {present.sum()} cases, {share:.2%} of all voxels{size}"


def notes_in_words(cases: Sequence[str], facts: Sequence[CaseFacts]) -> Iterator[str]:
    """A line on each oddity of files, with the cases that have it."""
    odd: dict[str, list[str]] = {}
    for case, each in zip(cases, facts, strict=True):
        for note in each.notes:
            odd.setdefault(note, []).append(case)
    yield from (f"Odd: {listed(names, 3)}: {note}" for note, names in odd.items())


def _labels(scheme: LabelScheme) -> Iterator[tuple[str, list[int]]]:
    if scheme.regions:
        yield from ((name, list(ids)) for name, ids in zip(scheme.names, scheme.regions, strict=True))
    else:
        yield from ((name, [number]) for number, name in enumerate(scheme.names) if number)
    if scheme.ignore is not None:
        yield "ignore", [scheme.ignore]


def _range(values: np.ndarray) -> str:
    low, high = values.min(0), values.max(0)
    return by(low) if np.allclose(low, high) else f"{by(low)} to {by(high)}"
