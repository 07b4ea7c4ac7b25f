import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from medvid.config.task import Constant, Freeze, TrainOptions, WarmupCosine
from medvid.data.dataset import Dataset
from medvid.data.loading.batches import training_batches
from medvid.data.loading.workers import Loading
from medvid.data.transform import Transform
from medvid.data.transforms.intensity import ShiftIntensity
from medvid.data.transforms.options import ShiftIntensityOptions
from medvid.errors import ConfigError, NumericError
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.training.checkpoint import load_checkpoint
from medvid.training.loop import Trainer
from medvid.training.optim import build_optimizer
from medvid.training.optimizers import torchs
from medvid.training.optimizers.options import AdamWOptions, SGDOptions
from medvid.training.progress import TrainingProgress

HOST = make_host()

OPTIONS = TrainOptions(
    steps=11,
    batch_size=2,
    accumulate=2,
    optimizer=AdamWOptions(lr=0.01, weight_decay=0.1),
    schedule=WarmupCosine(name="warmup_cosine", warmup_steps=2),
    clip_norm=1.0,
    ema=0.9,
    log_every=4,
)


class Record:
    """Keeps what the loop tells."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.saves: list[tuple[int, bool]] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:
        assert speed["step_time"] >= speed["data_time"] >= 0
        self.rows.append((step, losses))

    def saved(self, path: Path, step: int, is_best: bool) -> None:
        assert path.is_dir()
        self.saves.append((step, is_best))


CHANGES = (ShiftIntensity(ShiftIntensityOptions(probability=1)),)


def make_trainer(model: Model, transforms: Sequence[Transform] = (), **options: object) -> Trainer:
    chosen = OPTIONS.model_copy(update=options)
    return Trainer(
        Fabric(accelerator="cpu"), model, chosen, seed=5, spatial_axes=2, build=HOST.build, transforms=transforms
    )


def fit(trainer: Trainer, dataset: Dataset, stop: int, record: Record, workers: int = 0) -> None:
    accumulate = trainer.options.accumulate
    batches = training_batches(
        dataset,
        dataset.cases("train"),
        seed=5,
        batch_size=2,
        first=trainer.progress.step * accumulate,
        stop=stop * accumulate,
        loading=Loading(workers),
    )
    trainer.fit(batches, stop, record, interrupted=lambda: False)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    assert trainer.average
    averages = {f"average.{name}": value for name, value in trainer.average.tensors().items()}
    return {name: value.clone() for name, value in (trainer.model.state_dict() | averages).items()}


@pytest.mark.parametrize("at", [1, 4, 6, 10])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    tiny_model: Model, images: Dataset, tmp_path: Path, at: int
) -> None:
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    whole, record = make_trainer(tiny_model, CHANGES), Record()
    fit(whole, images, 11, record)
    expected = weights(whole)

    tiny_model.load_state_dict(start)
    first, resumed_record = make_trainer(tiny_model, CHANGES), Record()
    batches = training_batches(images, images.cases("train"), seed=5, batch_size=2, first=0, stop=22)
    first.fit(batches, 11, resumed_record, interrupted=lambda: first.progress.step == at)
    first.progress.observe_validation(0.5)
    first.save(tmp_path, resumed_record)

    second = make_trainer(tiny_model, CHANGES)
    second.restore(tmp_path / f"step-{at:08d}")
    fit(second, images, 11, resumed_record, workers=2)

    assert resumed_record.saves == [(at, True)]
    assert second.progress.best_step == at
    assert resumed_record.rows == record.rows
    assert all(torch.equal(value, expected[name]) for name, value in weights(second).items())


def test_batches_are_changed_before_the_model_sees_them(tiny_model: Model, images: Dataset) -> None:
    losses = []
    for transforms in ((), CHANGES):
        record = Record()
        fit(make_trainer(copy.deepcopy(tiny_model), transforms, log_every=1), images, 1, record)
        losses.append(record.rows[0][1]["loss"])
    assert losses[0] != losses[1]


def test_training_learns(tiny_model: Model, images: Dataset) -> None:
    trainer, record = make_trainer(tiny_model, steps=60, log_every=10), Record()
    fit(trainer, images, 60, record)
    assert [step for step, _ in record.rows] == [10, 20, 30, 40, 50, 60]
    assert record.rows[-1][1]["loss"] < 0.8 * record.rows[0][1]["loss"]
    assert set(record.rows[0][1]) == {"loss", "grad_norm", "lr"}


def test_weight_decay_spares_norms_and_biases(tiny_model: Model) -> None:
    decayed, plain = make_trainer(tiny_model).optimizer.param_groups
    assert [parameter.ndim for parameter in decayed["params"]] == [4, 4, 4]
    assert {parameter.ndim for parameter in plain["params"]} == {1}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)


def test_a_loss_that_is_not_finite_stops_before_the_step(
    tiny_model: Model, images_with_nan: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(tiny_model, accumulate=1, log_every=8, channels_last=False)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    with pytest.raises(NumericError, match="step 1 is not finite"):
        fit(trainer, images_with_nan, 8, Record())
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())
    with pytest.raises(NumericError):
        trainer.save(tmp_path, Record())
    assert list(tmp_path.iterdir()) == []


def test_nan_is_never_the_best_and_an_equal_figure_does_not_replace_it(tiny_model: Model) -> None:
    trainer = make_trainer(tiny_model)
    for step, value in enumerate([float("nan"), 0.3, 0.3, 0.2, 0.4, float("inf")], start=1):
        trainer.progress.step = step
        trainer.progress.observe_validation(value)
    assert (trainer.progress.best_step, trainer.progress.best_value) == (5, 0.4)
    assert trainer.progress.validated_step == 6


def test_a_smoothed_figure_chooses_by_its_moving_average() -> None:
    progress = TrainingProgress()
    for step, value in enumerate([0.2, float("nan"), 0.9, 0.5, 0.5], start=1):
        progress.step = step
        progress.observe_validation(value, smooth=0.5)
    assert (progress.best_step, progress.best_value) == (3, pytest.approx(0.55))
    assert progress.average == pytest.approx(0.5125)


@pytest.mark.parametrize("what", ["backbone.stem.weight", "backbone.norm.running_var"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_and_statistics_that_are_not_finite_are_not_saved(
    tiny_model: Model, images: Dataset, tmp_path: Path, what: str, value: float
) -> None:
    trainer, record = make_trainer(tiny_model, accumulate=1), Record()
    fit(trainer, images, 1, record)
    trainer.save(tmp_path, record)
    trainer.model.state_dict()[what].view(-1)[0] = value
    with pytest.raises(NumericError, match=f"after step 1, model/{what} have non-finite values"):
        trainer.save(tmp_path, record)
    assert record.saves == [(1, False)]


def test_a_rate_that_blows_weights_up_within_one_step(tiny_model: Model, images: Dataset, tmp_path: Path) -> None:
    options = AdamWOptions(lr=3e38, weight_decay=0)
    trainer = make_trainer(tiny_model, optimizer=options, schedule=Constant(name="constant"), ema=None, clip_norm=None)

    def go_on(stop: int) -> None:
        fit(trainer, images, stop, Record())
        trainer.save(tmp_path, Record())

    go_on(0)
    with pytest.raises(NumericError):
        go_on(1)
    for path in tmp_path.iterdir():
        assert all(value.isfinite().all() for value in load_checkpoint(path).tensors["model"].values())


def test_a_constant_with_infinities_is_saved(tiny_model: Model, images: Dataset, tmp_path: Path) -> None:
    tiny_model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    trainer, record = make_trainer(tiny_model), Record()
    fit(trainer, images, 1, record)
    trainer.save(tmp_path, record)
    assert record.saves == [(1, False)]


def test_averaged_weights_are_only_in_place_within_the_block(tiny_model: Model, images: Dataset) -> None:
    trainer = make_trainer(tiny_model)
    fit(trainer, images, 5, Record())
    own = trainer.model.backbone.conv.weight.detach().clone()
    with trainer.averaged():
        assert not torch.equal(trainer.model.backbone.conv.weight, own)
    assert torch.equal(trainer.model.backbone.conv.weight, own)


def test_frozen_parameters_stay_until_their_step(tiny_model: Model, images: Dataset) -> None:
    freeze = (Freeze(parameters="backbone.conv.*", steps=3), Freeze(parameters="head.conv.bias"))
    trainer = make_trainer(tiny_model, freeze=freeze)
    start = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}

    def changed() -> set[str]:
        return {name for name, value in trainer.model.named_parameters() if not torch.equal(value, start[name])}

    fit(trainer, images, 3, Record())
    assert changed() == set(start) - {"backbone.conv.weight", "backbone.conv.bias", "head.conv.bias"}
    fit(trainer, images, 4, Record())
    assert changed() == set(start) - {"head.conv.bias"}


@pytest.mark.parametrize("steps", [None, 2])
def test_a_frozen_module_keeps_its_statistics_and_drops_nothing(
    tiny_model: Model, images: Dataset, steps: int | None
) -> None:
    freeze = (Freeze(parameters="backbone.*", steps=steps), Freeze(parameters="head.*", steps=1))
    trainer = make_trainer(tiny_model, freeze=freeze)
    start = {name: value.clone() for name, value in trainer.model.backbone.state_dict().items()}

    def kept() -> bool:
        return all(torch.equal(value, start[name]) for name, value in trainer.model.backbone.state_dict().items())

    fit(trainer, images, 1, Record())
    assert kept()
    assert (trainer.model.backbone.norm.training, trainer.model.head.dropout.training) == (False, False)
    fit(trainer, images, 2, Record())
    assert kept()
    assert trainer.model.head.dropout.training
    fit(trainer, images, 3, Record())
    assert kept() == (steps is None)
    assert trainer.model.backbone.norm.training == (steps is not None)


def test_a_norm_beside_frozen_parameters_is_still_trained(tiny_model: Model, images: Dataset) -> None:
    trainer = make_trainer(tiny_model, freeze=(Freeze(parameters="backbone.[cs]*"),))
    before = trainer.model.backbone.norm.running_mean.clone()
    fit(trainer, images, 1, Record())
    assert not torch.equal(trainer.model.backbone.norm.running_mean, before)
    frozen = make_trainer(tiny_model, freeze=(Freeze(parameters="backbone.norm.*"),))
    before = frozen.model.backbone.norm.running_mean.clone()
    fit(frozen, images, 1, Record())
    assert torch.equal(frozen.model.backbone.norm.running_mean, before)


@pytest.mark.parametrize(
    ("options", "said"), [({}, True), ({"accumulate": 1}, False), ({"freeze": "backbone.*"}, False)]
)
def test_statistics_of_a_part_of_the_batch_are_said(
    tiny_model: Model, caplog: pytest.LogCaptureFixture, options: dict[str, object], said: bool
) -> None:
    if "freeze" in options:
        options = {"freeze": (Freeze(parameters="backbone.*"),)}
    make_trainer(tiny_model, **options)
    assert ("in 2 parts, and backbone.norm take the statistics of each part alone" in caplog.text) == said


def test_a_freeze_that_matches_nothing_is_an_error(tiny_model: Model) -> None:
    with pytest.raises(ConfigError, match=r"train.freeze\[0\].*'backbonne.\*'"):
        make_trainer(tiny_model, freeze=(Freeze(parameters="backbonne.*"),))


def test_a_freeze_that_leaves_nothing_to_train_is_an_error(tiny_model: Model) -> None:
    make_trainer(tiny_model, freeze=(Freeze(parameters="*", steps=2),))
    with pytest.raises(ConfigError, match="freezes every parameter"):
        make_trainer(tiny_model, freeze=(Freeze(parameters="backbone.*"), Freeze(parameters="head.*")))


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_of_parameters_that_are_frozen_at_first(
    tiny_model: Model, images: Dataset, tmp_path: Path, nesterov: bool
) -> None:
    options = {
        "optimizer": SGDOptions(lr=0.01, momentum=0.9, nesterov=nesterov),
        "freeze": (Freeze(parameters="backbone.*", steps=2),),
    }
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    whole = make_trainer(tiny_model, **options)
    fit(whole, images, 4, Record())
    expected = weights(whole)
    assert not torch.equal(expected["backbone.conv.weight"], start["backbone.conv.weight"])

    tiny_model.load_state_dict(start)
    first = make_trainer(tiny_model, **options)
    fit(first, images, 1, Record())
    first.save(tmp_path, Record())
    second = make_trainer(tiny_model, **options)
    second.restore(tmp_path / "step-00000001")
    fit(second, images, 4, Record())
    assert all(torch.equal(value, expected[name]) for name, value in weights(second).items())


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_begins_as_torchs_does(tiny_model: Model, nesterov: bool) -> None:
    options = SGDOptions(lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=nesterov)
    parameters = [*tiny_model.parameters()]
    other = [parameter.detach().clone().requires_grad_() for parameter in parameters]
    recipe = OPTIONS.model_copy(update={"optimizer": options, "decay_norms_and_biases": True})
    ours = build_optimizer(tiny_model, recipe, HOST.build)
    theirs = torch.optim.SGD(other, 0.1, momentum=0.9, weight_decay=0.1, nesterov=nesterov, fused=True)
    for group in ours.param_groups:
        group["lr"] = 0.1
    for _ in range(3):
        for parameter, twin in zip(parameters, other, strict=True):
            parameter.grad = torch.randn_like(parameter)
            twin.grad = parameter.grad.clone()
        ours.step()
        theirs.step()
        assert all(map(torch.equal, parameters, other))


# A bias before a batch norm has no gradient but for rounding, of which Adam without a larger eps makes steps.
@pytest.mark.parametrize("optimizer", [AdamWOptions(lr=0.01, eps=1e-2), SGDOptions(lr=0.01, nesterov=True)])
def test_devices_whose_fused_optimizers_refuse_nothing(
    tiny_model: Model, images: Dataset, images_with_nan: Dataset, monkeypatch: pytest.MonkeyPatch, optimizer: object
) -> None:
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    fused = make_trainer(tiny_model, optimizer=optimizer)
    fit(fused, images, 3, Record())
    expected = weights(fused)
    monkeypatch.setattr(torchs, "FUSED", ())
    tiny_model.load_state_dict(start)
    checked = make_trainer(tiny_model, optimizer=optimizer)
    fit(checked, images, 3, Record())
    torch.testing.assert_close(weights(checked), expected, rtol=1e-3, atol=1e-4)
    before = {name: value.detach().clone() for name, value in checked.model.named_parameters()}
    with pytest.raises(NumericError, match="not finite"):
        fit(checked, images_with_nan, 9, Record())
    assert all(torch.equal(value, before[name]) for name, value in checked.model.named_parameters())
