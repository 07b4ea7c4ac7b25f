"""Lengths of trainings, and what follows from them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.planning.test_volumes import NAMES, read
from tests.planning.volumes import write_volumes

from medvid.planning.draft import Draft
from medvid.planning.recipe import put_nnunet_recipe, put_recipe, suit_augmentation, suit_rate

Plan = Callable[..., tuple[int, str, str]]


def drafted(put: Callable[[Draft, int | None], None], steps: int | None) -> dict[str, Any]:
    draft = Draft()
    put(draft, steps)
    return draft.values


def test_nnunets_recipe_is_the_published_one() -> None:
    for steps in (None, 250_000):
        task = drafted(put_nnunet_recipe, steps)
        assert task["train"]["steps"] == 250_000
        assert task["train"]["optimizer"] == {
            "name": "sgd", "lr": 0.01, "momentum": 0.99, "nesterov": True, "weight_decay": 3e-5,
        }  # fmt: skip
        assert task["train"]["schedule"] == {"name": "poly", "power": 0.9, "hold": 250}
        assert task["evaluation"]["every"] == 5000


@pytest.mark.parametrize("steps", [1, 3, 70, 2499, 2500, 40_000])
def test_what_counts_steps_follows_from_the_length(steps: int) -> None:
    for put in (put_nnunet_recipe, put_recipe):
        task = drafted(put, steps)
        assert task["train"]["steps"] == steps
        assert task["train"]["schedule"].get("warmup_steps", 0) <= max(1, steps // 10)
        assert 1 <= task["evaluation"]["every"] <= steps
        short = task["train"]["optimizer"]["name"] == "adamw" and task["train"]["optimizer"]["lr"] > 1e-3
        assert short == (steps < 2500)


def test_wide_backbones_get_a_lower_rate_in_short_trainings_only() -> None:
    for steps, width, rate in (
        (100, 768, 5e-4),
        (100, 2048, 3e-4),
        (100, 96, 4e-3),
        (100, 16, 4e-3),
        (50_000, 96, 3e-4),
    ):
        draft = Draft()
        put_recipe(draft, steps)
        suit_rate(draft, steps, width)
        assert draft.values["train"]["optimizer"]["lr"] == pytest.approx(rate)


@pytest.mark.parametrize(("steps", "cases", "kept"), [(100, 20, 2), (1000, 10, 3), (100_000, 10_000, 3), (None, 9, 3)])
def test_a_case_that_is_rarely_seen_is_changed_little(steps: int | None, cases: int, kept: int) -> None:
    draft = Draft()
    draft.put("dataset.augment", [{"name": "spatial"}, {"name": "brightness"}, {"name": "zero_outside"}])
    draft.put("train.batch_size", 2)
    suit_augmentation(draft, steps, cases)
    assert len(draft.values["dataset"]["augment"]) == kept


def test_a_length_on_the_command_line_is_planned_for(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES)
    long, short = (read(plan(root, *more)[1]) for more in ((), ("--steps", 60)))
    assert short["train"]["steps"] == 60
    assert short["train"]["optimizer"]["name"] == "adamw"
    assert [each["name"] for each in short["dataset"]["augment"]] == ["brightness", "contrast"]
    assert short["backbone"] == long["backbone"]
    assert plan(root, "--steps", 0)[0] == 2
    alone = read(plan(root, "--set", "train.steps=60")[1])  # replaces the one number
    assert alone["train"] == long["train"] | {"steps": 60}


def test_a_short_training_has_smaller_patches(plan: Plan, tmp_path: Path) -> None:
    root = write_volumes(tmp_path / "data", NAMES, shape=(48, 48, 48), spacing=(1, 1, 1))
    small = [word for each in ("hidden_size=24", "mlp_dim=24", "num_heads=2") for word in ("--set", f"backbone.{each}")]
    patches = [
        read(plan(root, "--backbone", "unetr", *small, *more)[1])["dataset"]["patch"]["size"]
        for more in ((), ("--steps", 60))
    ]
    assert math.prod(patches[1]) <= 0.6 * math.prod(patches[0])
