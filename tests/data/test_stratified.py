"""Folds with like shares of every label: how even they are, and that nobody moves."""

import random
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from medvid.data.stratified import CASES, assign

LABELS = st.lists(st.sets(st.sampled_from("abc"), max_size=3), min_size=1, max_size=3)
WORLDS = st.dictionaries(st.text("pqrs", min_size=1, max_size=3), LABELS, min_size=3, max_size=25)


def contents(groups: Mapping[str, list[set[str]]]) -> dict[str, Counter[str]]:
    return {name: sum((Counter([CASES, *labels]) for labels in cases), Counter()) for name, cases in groups.items()}


def spread(groups: Mapping[str, Mapping[str, int]], places: Mapping[str, int], count: int) -> dict[str, int]:
    """By label, how many cases more the fold with most has than the one with least."""
    folds = [Counter[str]() for _ in range(count)]
    for name, fold in places.items():
        folds[fold].update(groups[name])
    return {label: max(f[label] for f in folds) - min(f[label] for f in folds) for label in sum(folds, Counter())}


@given(WORLDS, st.integers(2, 5), st.integers(0, 9), st.randoms())
def test_each_group_has_a_fold_whatever_their_order(
    world: dict[str, list[set[str]]], count: int, seed: int, generator: random.Random
) -> None:
    groups = contents(world)
    places = assign(groups, count, seed)
    assert places.keys() == groups.keys()
    assert set(places.values()) <= set(range(count))
    shuffled = [*groups.items()]
    generator.shuffle(shuffled)
    assert assign(dict(shuffled), count, seed) == places


@given(WORLDS, WORLDS, st.integers(2, 5), st.integers(0, 9))
def test_new_groups_move_nobody(
    world: dict[str, list[set[str]]], more: dict[str, list[set[str]]], count: int, seed: int
) -> None:
    kept = assign(contents(world), count, seed)
    everybody = contents(world | {f"new {name}": cases for name, cases in more.items()})
    places = assign(everybody, count, seed, kept)
    assert {name: places[name] for name in kept} == kept
    assert places.keys() == everybody.keys()


@given(WORLDS, st.integers(2, 5), st.integers(1, 5))
def test_a_new_group_without_labels_goes_to_the_smallest_fold(
    world: dict[str, list[set[str]]], count: int, size: int
) -> None:
    groups = contents({name: [set() for _ in cases] for name, cases in world.items()})
    kept = assign(groups, count, 0)
    sizes = Counter(dict.fromkeys(range(count), 0))
    for name, fold in kept.items():
        sizes[fold] += groups[name][CASES]
    assert sizes[assign({**groups, "new": Counter({CASES: size})}, count, 0, kept)["new"]] == min(sizes.values())


@given(st.dictionaries(st.integers(0, 99).map(str), st.sampled_from("abc"), min_size=5), st.integers(2, 5))
def test_cases_of_one_class_each_are_dealt_out_evenly(world: dict[str, str], count: int) -> None:
    groups = {name: Counter([CASES, label]) for name, label in world.items()}
    differences = spread(groups, assign(groups, count, 0), count)
    assert max(differences.values()) <= 2


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_labels_are_as_even_as_scikit_learns_or_more() -> None:
    ours, theirs = [], []
    for number in range(20):
        generator = random.Random(number)
        rates = [generator.uniform(0.05, 0.95) for _ in range(13)]
        world = {
            f"p{patient}": [
                {f"label{label:02d}" for label, rate in enumerate(rates) if generator.random() < rate}
                for _ in range(generator.randint(1, 4))
            ]
            for patient in range(60)
        }
        groups = contents(world)
        totals = sum(groups.values(), Counter())
        owners = [name for name, cases in world.items() for _ in cases]
        rarest = [min(labels, key=totals.__getitem__, default="") for cases in world.values() for labels in cases]
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=number)
        found = {owners[i]: fold for fold, (_, val) in enumerate(splitter.split(owners, rarest, owners)) for i in val}
        for differences, places in ((ours, assign(groups, 5, number)), (theirs, found)):
            differences.append([value for label, value in spread(groups, places, 5).items() if label != CASES])
    assert np.mean(ours) < 0.8 * np.mean(theirs)
    assert np.mean(np.max(ours, axis=1)) < 0.8 * np.mean(np.max(theirs, axis=1))
