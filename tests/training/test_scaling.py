"""Training in float16: the loss is scaled on the device, overflowing steps are skipped, hopeless ones refused."""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.errors import NumericError
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.training.checkpoint import load_checkpoint
from medvid.training.device import make_fabric
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import AdamWOptions
from medvid.training.scaling import INITIAL, SMALLEST, LossScale

HOST = make_host()

STEEP = 1e3
"""A slope that float16 overflows with, at the initial scale."""


class Lines(Backbone):
    """(B, 4, 8, 1) to an embedding."""

    feature_info = FeatureInfo(embedding=6)

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(32, 6)

    def forward(self, input: Tensor) -> Features:
        return Features(embedding=torch.tanh(self.embed(input.flatten(1))))


class Steep(Head):
    """The loss is the mean logit, times the target: its gradient can be chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002 (the contract of heads)
        logits: Tensor = self.linear(features.embedding)
        return logits

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": (output[:, 0] * target).mean()}

    def evaluator(self, *_: Any) -> Any:
        raise AssertionError("the loop does not evaluate")


class Record:
    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002
        self.rows.append(losses)

    def saved(self, *_: object) -> None: ...


def make_trainer(**options: Any) -> Trainer:
    torch.manual_seed(0)
    recipe = {
        "steps": 99,
        "batch_size": 2,
        "optimizer": AdamWOptions(lr=0.01),
        "precision": "fp16",
        "accelerator": "cpu",
        "channels_last": False,
        "clip_norm": 1.0,
        "ema": 0.5,
        "log_every": 1,
    }
    chosen = TrainOptions.model_validate(recipe | options)
    fabric = make_fabric(chosen)
    fabric.launch()
    return Trainer(fabric, Model(Lines(), Steep()), chosen, seed=0, spatial_axes=2, build=HOST.build)


def batches(*slopes: float) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(1)
    for slope in slopes:
        yield Batch(torch.randn(2, 4, 8, 1, generator=generator), torch.full((2,), slope), ("a", "b"))


def train(trainer: Trainer, *slopes: float) -> list[dict[str, float]]:
    record = Record()
    steps = trainer.progress.step + len(slopes) // trainer.options.accumulate
    trainer.fit(batches(*slopes), steps, record, lambda: False)
    return record.rows


def state(trainer: Trainer) -> dict[str, Tensor]:
    assert trainer.average
    kept = dict(trainer.model.state_dict()) | {f"average.{name}": x for name, x in trainer.average.tensors().items()}
    slots = {
        f"{number}.{slot}": value
        for number, values in trainer.optimizer.state_dict()["state"].items()
        for slot, value in values.items()
    }
    return {name: value.clone() for name, value in (kept | slots).items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@given(st.lists(st.booleans(), max_size=60), st.integers(1990, 1999))
def test_the_scale_is_halved_at_an_overflow_and_doubled_after_2000_steps_without(
    overflows: list[bool], steps: int
) -> None:
    scale = LossScale(torch.device("cpu"))
    value = INITIAL
    scale.restore({"value": value, "steps": steps})
    for overflowed in overflows:
        scale.update(torch.tensor(float(overflowed)))
        steps = 0 if overflowed else steps + 1
        value *= 0.5 if overflowed else 1 if steps < 2000 else 2
        steps %= 2000
        assert scale.state() == {"value": value, "steps": steps}


def test_a_step_is_that_of_float32_up_to_rounding() -> None:
    found, wanted = make_trainer(accumulate=2), make_trainer(accumulate=2, precision="fp32")
    slopes = [0.1, 0.2, 0.05, 0.1]
    rows, expected = train(found, *slopes), train(wanted, *slopes)
    assert [row.pop("loss_scale") for row in rows] == [INITIAL, INITIAL]
    assert [*rows[0]] == [*expected[0]] == ["loss", "grad_norm", "lr"]
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=5e-3)
    for name, value in state(wanted).items():
        torch.testing.assert_close(state(found)[name], value, rtol=2e-2, atol=1e-3)


def test_gradients_that_float16_has_no_numbers_for_are_not_lost() -> None:
    tiny = 1e-8
    found, wanted = make_trainer(clip_norm=None), make_trainer(clip_norm=None, precision="fp32")
    assert train(found, tiny)[0]["grad_norm"] == pytest.approx(train(wanted, tiny)[0]["grad_norm"], rel=1e-2)


def test_an_overflow_skips_the_step_and_training_goes_on() -> None:
    trainer = make_trainer()
    train(trainer, 0.1)
    before = state(trainer)
    [row] = train(trainer, STEEP)
    assert same(state(trainer), before)
    assert "grad_norm" not in row
    assert row["loss_scale"] == INITIAL / 2
    [row] = train(trainer, 0.1)
    assert trainer.progress.step == 3
    assert row["loss_scale"] == INITIAL / 2
    assert {name for name, value in state(trainer).items() if torch.equal(value, before[name])} == set()


def test_figures_of_a_window_leave_skipped_steps_out() -> None:
    alone = train(make_trainer(), 0.1)[0]["grad_norm"]
    [row] = train(make_trainer(log_every=2), 0.1, STEEP)
    assert row["grad_norm"] == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize(
    ("slope", "problem"),
    [
        (math.nan, "the loss of step 1 is not finite"),
        (1e12, "the gradient, with any scale of the loss, of step 31 is not finite"),
    ],
)
def test_what_no_scale_helps_is_refused_for_good(slope: float, problem: str) -> None:
    trainer = make_trainer(log_every=40)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(NumericError, match=problem):
        train(trainer, *[slope] * 31, *[0.1] * 9)
    assert same(dict(trainer.model.state_dict()), before)
    assert INITIAL * 0.5**31 < SMALLEST == INITIAL * 0.5**30


def test_the_scale_goes_on_where_a_checkpoint_left_it(tmp_path: Path) -> None:
    slopes = [0.1, STEEP, 0.1, STEEP, 0.1, 0.1]
    whole = make_trainer(log_every=4)
    stream = batches(*slopes)
    whole.fit(stream, 6, expected := Record(), lambda: False)
    first, second, record = make_trainer(log_every=4), make_trainer(log_every=4), Record()
    stream = batches(*slopes)
    first.fit(stream, 5, record, lambda: first.progress.step == 3)
    first.fit(stream, 3, record, lambda: False)
    first.save(tmp_path, record)
    assert load_checkpoint(tmp_path / "step-00000003").state["loss_scale"] == {"value": INITIAL / 2, "steps": 1}
    second.restore(tmp_path / "step-00000003")
    second.fit(stream, 6, record, lambda: False)
    assert same(state(second), state(whole))
    assert record.rows == expected.rows


SCRIPT = """
import sys
from pathlib import Path
from safetensors.torch import save_file
sys.path.insert(0, {folder!r})
from test_scaling import STEEP, make_trainer, state, train

out = Path(sys.argv[1])
trainer = make_trainer(devices=2, strategy="ddp", accumulate=2)
rank = trainer.fabric.global_rank
slopes = [0.1, 0.2, 0.1, (0.1, STEEP)[rank], 0.05, 0.1]
rows = train(trainer, *slopes)
assert [row["loss_scale"] for row in rows] == [65536, 32768, 32768], rows
save_file(state(trainer), out / f"{{rank}}.safetensors")
trainer.fabric.barrier()
"""


def test_processes_skip_the_same_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent)))
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=240, capture_output=True)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert same(first, second)
    assert first["0.step"] == 2
