"""A training that ends once validations no longer improve."""

import copy
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.training.test_loop import Record, make_trainer

from medvid.config.task import StopEarly
from medvid.data.dataset import Dataset
from medvid.data.loading.batches import training_batches
from medvid.models.model import Model
from medvid.training.loop import Trainer
from medvid.training.progress import TrainingProgress, early_note
from medvid.training.stopping import StopRequest

FIGURES = [0.5, 0.6, 0.55, 0.6, 0.601, 0.1, math.nan, 0.605, 0.9, 0.9, 0.9]


def train(trainer: Trainer, dataset: Dataset, folder: Path, interrupted_at: int | None = None) -> None:
    """Train one step per validation, whose figures are `FIGURES`; perhaps until a validation is interrupted."""
    batches = training_batches(
        dataset, dataset.cases("train"), seed=5, batch_size=4, first=trainer.progress.step, stop=11
    )
    stop = StopRequest(folder, 11, is_new=False)

    def validate() -> float | None:
        if trainer.progress.step == interrupted_at:
            raise KeyboardInterrupt
        return FIGURES[trainer.progress.step - 1]

    trainer.train(batches, every=1, validate=validate, folder=folder, observer=Record(), stop=stop)


@pytest.mark.parametrize(
    ("patience", "min_delta", "end"), [(1, 0, 3), (3, 0, 11), (2, 0.01, 4), (6, 0.01, 8), (7, 0.01, 11)]
)
def test_it_ends_where_figures_have_not_improved(
    tiny_model: Model, images: Dataset, tmp_path: Path, patience: int, min_delta: float, end: int
) -> None:
    early = StopEarly(patience=patience, min_delta=min_delta)
    trainer = make_trainer(copy.deepcopy(tiny_model), accumulate=1, stop_early=early)
    train(trainer, images, tmp_path / "whole")
    assert trainer.progress.step == end
    assert trainer.is_over_early == (end < 11)

    stopped = make_trainer(copy.deepcopy(tiny_model), accumulate=1, stop_early=early)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, images, tmp_path / "parts", interrupted_at=end - 1)
    resumed = make_trainer(copy.deepcopy(tiny_model), accumulate=1, stop_early=early)
    resumed.restore(tmp_path / f"parts/step-{end - 2:08d}")
    train(resumed, images, tmp_path / "parts")
    assert resumed.progress == trainer.progress

    again = make_trainer(copy.deepcopy(tiny_model), accumulate=1, stop_early=early)
    again.restore(tmp_path / f"parts/step-{end:08d}")
    train(again, images, tmp_path / "parts")
    assert again.progress == trainer.progress


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), min_size=1), st.sampled_from([0.0, 0.15]))
def test_stale_counts_the_validations_since_the_last_improvement(figures: list[float], min_delta: float) -> None:
    progress = TrainingProgress()
    reached, since = -math.inf, 0
    for step, figure in enumerate(figures, start=1):
        progress.step = step
        progress.observe_validation(figure, min_delta=min_delta)
        improved = figure > reached + min_delta
        reached, since = (figure, 0) if improved else (reached, since + 1)
        assert progress.stale == since
    assert progress.best_value == max((figure for figure in figures if not math.isnan(figure)), default=None)


def test_it_is_said(tiny_model: Model) -> None:
    trainer = make_trainer(tiny_model, stop_early=StopEarly(patience=2, min_delta=0.01))
    trainer.progress = TrainingProgress(step=8, stale=2)
    assert trainer.is_over_early
    note = early_note(trainer.progress, trainer.options, "dice")
    assert note == "stopped early, after step 8 of 11: in 2 validations dice has not risen by more than 0.01"
