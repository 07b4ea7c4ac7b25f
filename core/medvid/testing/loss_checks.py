"""Checks of losses, on each kind of target that the spec names."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import cast

import torch
from torch import Tensor

from medvid.config.compatibility import check_loss
from medvid.errors import ConfigError
from medvid.losses.loss import Loss
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.plugin.specs import Axes, LossSpec
from medvid.testing.check import NotApplicableError, Subject, expect
from medvid.testing.compare import FLOAT64, ROUNDING, expect_close
from medvid.testing.fake_gpu import META, expect_no_wait
from medvid.testing.targets import random_target, right_output, toy_target

BATCH = 3
AXES: Axes = "video"
SIZE = (2, 4, 4)


@dataclass(frozen=True)
class Trial:
    """A loss on one kind of target.

    Args:
        loss: built for that target.
        info: the target.
    """

    loss: Loss
    info: TargetInfo

    def output(self, *, seed: int = 0) -> Tensor:
        """Random outputs of a head, float64, that ask for a gradient."""
        shape = BATCH, *self.info.output_shape(AXES, SIZE)
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    def target(self, *, seed: int = 0) -> Tensor:
        """Random targets, all known."""
        return random_target(self.info, AXES, SIZE, batch=BATCH, seed=seed)

    def unknown(self) -> Tensor:
        """Entries of a target to be unknown: some, of each example but the last, of which nothing is known."""
        shape = BATCH, *self.info.target_shape(AXES, SIZE)
        mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.4
        mask[-1], mask.view(-1)[0], mask.view(-1)[-1] = True, False, True
        return mask

    @property
    def blank(self) -> float:
        """What stands in a target where it is unknown."""
        return torch.nan if self.info.what == "value" else UNKNOWN

    def losses_and_gradient(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """All that the loss returns, and the gradient by the output."""
        output = output.detach().requires_grad_()
        losses = self.loss(output, target)
        (gradient,) = torch.autograd.grad(losses["loss"], output)
        return {name: item.detach() for name, item in losses.items()} | {"gradient": gradient}

    def __str__(self) -> str:
        return f"on {self.info.where} x {self.info.what}"


def check_scalars(subject: Subject) -> None:
    """The loss and its parts are finite scalars, and "loss" leads back to the output with a finite gradient."""
    for trial in _trials(subject):
        for output in (trial.output(), torch.zeros_like(trial.output()).requires_grad_()):
            losses = trial.loss(output, trial.target())
            expect("loss" in losses, f'{trial} it returns {sorted(losses)}, without "loss"')
            for name, value in losses.items():
                expect(value.ndim == 0, f"{trial} {name!r} has shape {list(value.shape)}, not that of a scalar")
                expect(bool(torch.isfinite(value)), f"{trial} {name!r} is {float(value.detach())}")
            expect(losses["loss"].requires_grad, f'{trial} "loss" is detached from the output')
            torch.autograd.backward(losses["loss"])
            expect(bool(torch.isfinite(_grad(output)).all()), f"{trial} a gradient is not finite")


def check_order(subject: Subject) -> None:
    """Right answers cost less than wrong ones."""
    for trial in _trials(subject):
        target = trial.target()
        right = right_output(trial.info, target)
        better, worse = (float(trial.loss(sign * right, target)["loss"].detach()) for sign in (1, -1))
        expect(better < worse, f"{trial} right answers cost {better:g}, not less than wrong ones ({worse:g})")


def check_parts(subject: Subject) -> None:
    """A batch that is taken in parts has the gradient of the whole, or the options refuse to take it so."""
    for has_unknown in (False, True):
        for trial in _trials(subject, has_unknown=has_unknown):
            _refuse_if_whole(subject, trial)
            output, target = trial.output(), trial.target()
            if has_unknown:
                target[trial.unknown()] = trial.blank
            whole = _gradient(trial, output, target, [slice(None)])
            parts = _gradient(trial, output, target, [slice(0, 1), slice(1, None)])
            expect_close({"gradient": parts}, {"gradient": whole}, FLOAT64, f"{trial}, in parts of 1 and {BATCH - 1},")


def check_unknown(subject: Subject) -> None:
    """What is not annotated has no effect: outputs there get no gradient, and change neither loss nor gradient."""
    for trial in _trials(subject, has_unknown=True):
        output, target, unknown = trial.output(), trial.target(), trial.unknown()
        target[unknown] = trial.blank
        wanted = trial.losses_and_gradient(output, target)
        blind = _at_outputs(trial, unknown, output)
        expect(not bool(wanted["gradient"][blind].any()), f"{trial} unknown entries get a gradient")
        other = torch.where(blind, trial.output(seed=2), output)
        found = trial.losses_and_gradient(other, target)
        expect_close(found, wanted, FLOAT64, f"{trial}, with other outputs at unknown entries,")
        nothing = trial.losses_and_gradient(output, torch.full_like(target, trial.blank))
        expect(bool(torch.isfinite(nothing["loss"])), f"{trial} the loss of a batch without annotations is not finite")
        expect(not bool(nothing["gradient"].any()), f"{trial} a batch without annotations gives a gradient")


def check_weight(subject: Subject) -> None:
    """Where the options say that it is a mean over examples, their number is its weight."""
    for has_unknown in (False, True):
        for trial in _trials(subject, has_unknown=has_unknown):
            if not subject.options.is_mean_over_examples(trial.info):
                continue
            for seed in range(2):
                weight = trial.loss(trial.output(), trial.target(seed=seed)).get("weight", BATCH)
                expect(float(weight) == BATCH, f"{trial} the weight of {BATCH} examples is {float(weight):g}")


def check_precision(subject: Subject) -> None:
    """Outputs in bf16 cost what they do in float32, also within autocast, and the loss is float32."""
    for trial in _trials(subject):
        low, target = trial.output().detach().bfloat16(), trial.target()
        trial.loss.float()
        with torch.autocast("cpu", torch.bfloat16):
            found = trial.loss(low, target)["loss"]
        expect(found.dtype == torch.float32, f"{trial} the loss of bf16 outputs is {found.dtype}, not float32")
        expect_close({"loss": found}, {"loss": trial.loss(low.float(), target)["loss"]}, ROUNDING, f"{trial}, in bf16,")


def check_devices(subject: Subject) -> None:
    """Forward and backward stay on the device of the output, and read no value back from there."""
    for has_unknown in (False, True):
        for trial in _trials(subject, has_unknown=has_unknown):
            output, target = (item.detach().to(META) for item in (trial.output(), trial.target()))
            with expect_no_wait(f"{trial}, on the meta device,"):
                torch.autograd.backward(trial.loss.to(META)(output.requires_grad_(), target)["loss"])


LOSS_CHECKS = (check_scalars, check_order, check_parts, check_weight, check_unknown, check_precision, check_devices)


def _trials(subject: Subject, *, has_unknown: bool = False) -> Iterator[Trial]:
    """On all targets that the spec names; of a loss that has others inside, on those that these are for, too."""
    spec = cast(LossSpec, subject.spec)
    for what, where in product(spec.what, spec.where):
        info = replace(toy_target(where, what), has_unknown=has_unknown)
        try:
            check_loss(subject.options, info, subject.host)
        except ConfigError:
            continue
        yield Trial(subject.make_target(info).double(), info)


def _refuse_if_whole(subject: Subject, trial: Trial) -> None:
    """The check does not apply to a loss that is refused in parts."""
    try:
        subject.options.check_split(2, 1, trial.info)
    except ValueError as error:
        raise NotApplicableError(str(error)) from None


def _class_axis(trial: Trial) -> int:
    """Where the classes are in an output: behind the batch for voxels, else last."""
    return 1 if trial.info.where == "voxel" else -1


def _at_outputs(trial: Trial, unknown: Tensor, output: Tensor) -> Tensor:
    """The entries of an output that unknown ones of the target decide on."""
    if trial.info.what == "class":
        unknown = unknown.unsqueeze(_class_axis(trial))
    return unknown.expand_as(output)


def _gradient(trial: Trial, output: Tensor, target: Tensor, parts: list[slice]) -> Tensor:
    """The gradient of the output as the training loop has it, which adds up weighted parts and divides once."""
    total, gradient = 0.0, torch.zeros_like(output)
    for part in parts:
        one = output.detach()[part].requires_grad_()
        losses = trial.loss(one, target[part])
        weight = float(losses.get("weight", len(one)))
        torch.autograd.backward(losses["loss"] * weight)
        gradient[part] = _grad(one)
        total += weight
    return gradient / total


def _grad(output: Tensor) -> Tensor:
    assert output.grad is not None, "the loss leads back to the output"
    return output.grad
