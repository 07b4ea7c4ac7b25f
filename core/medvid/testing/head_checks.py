"""Checks of heads: the contract with backbones and with the training loop, over many feature pyramids."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Self, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medvid.data.batch import Batch
from medvid.devices.memory_format import CHANNELS_LAST
from medvid.models.build import build_head
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import WHAT, HeadSpec, LossSpec, What
from medvid.testing import compare
from medvid.testing.check import NotApplicableError, Subject, expect
from medvid.testing.compare import (
    EXACT,
    FLOAT64,
    HALF,
    ROUNDING,
    as_in_training_but_still,
    expect_close,
    expect_gradients,
    perturb,
)
from medvid.testing.fake_gpu import GPU, META, expect_no_wait, fake_gpu
from medvid.testing.pyramids import BATCH, Pyramid, pyramids
from medvid.testing.targets import random_target, right_output, toy_target
from medvid.training.parts import separate_gradients


@dataclass(frozen=True)
class HeadSubject(Subject):
    """A head with one of its examples.

    Args:
        what: what it is to predict, of what it can.
    """

    what: What = "class"

    def ways(self) -> Iterator[Self]:
        """Predicting each kind of annotation that the spec names, and that a loss named in the example is for."""
        loss = self.options.loss
        fitting = cast(LossSpec, self.host.spec_of(loss)).what if loss else WHAT
        return (replace(self, what=what) for what in self.head_spec.what if what in fitting)

    @cached_property
    def head_spec(self) -> HeadSpec:
        """The spec, as what it is."""
        return cast(HeadSpec, self.spec)

    @cached_property
    def target_info(self) -> TargetInfo:
        """What it is to predict."""
        return toy_target(self.head_spec.where, self.what)

    @cached_property
    def pyramids(self) -> tuple[Pyramid, ...]:
        """What it has to work from."""
        return tuple(pyramids(self.head_spec))

    def build(self, pyramid: Pyramid, *, seed: int = 0) -> Head:
        """A freshly initialised head in eval mode, the same for the same seed; none of its parameters is zero."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = build_head(self.host.build, self.options, pyramid.feature_info, pyramid.input_info, self.target_info)
        perturb(head)
        return head.eval()

    def target(self, pyramid: Pyramid, seed: int = 0) -> Tensor:
        """Random targets (B, ...)."""
        info = pyramid.input_info
        return random_target(self.target_info, info.axes, info.size, batch=BATCH, seed=seed)

    def built(self) -> Iterator[tuple[Pyramid, Head]]:
        """A head for each pyramid."""
        for pyramid in self.pyramids:
            yield pyramid, self.build(pyramid)


def check_logits(subject: HeadSubject) -> None:
    """Logits have one channel per label, and for segmentation the size of the input, on any pyramid."""
    for pyramid, head in subject.built():
        with torch.no_grad():
            found = head(pyramid.features(), pyramid.input())
        info = pyramid.input_info
        wanted = [BATCH, *subject.target_info.output_shape(info.axes, info.size)]
        expect(list(found.shape) == wanted, f"from {pyramid} the logits are {list(found.shape)}, not {wanted}")
        expect(bool(torch.isfinite(found).all()), f"from {pyramid} the logits are not finite")


def check_loss(subject: HeadSubject) -> None:
    """The loss and its parts are finite scalars, "loss" leads back to the logits, and a better answer costs less."""
    for pyramid, head in subject.built():
        target = subject.target(pyramid)
        output = head(pyramid.features(), pyramid.input())
        losses = head.loss(output, target)
        expect("loss" in losses, f'loss returns {sorted(losses)}, without "loss"')
        for name, value in losses.items():
            expect(value.ndim == 0, f"{name!r} has shape {list(value.shape)}, not that of a scalar")
            expect(bool(torch.isfinite(value)), f"{name!r} is {float(value.detach())}")
        expect(losses["loss"].requires_grad, '"loss" is detached from the logits')
        right = right_output(subject.target_info, target).to(output.dtype)
        better, worse = (float(head.loss(sign * right, target)["loss"]) for sign in (1, -1))
        expect(better < worse, f"the loss of right answers ({better:g}) is not below that of wrong ones ({worse:g})")


def check_gradients(subject: HeadSubject) -> None:
    """The loss depends on every parameter, and on every part of the features that nothing else reaches."""
    for pyramid, head in subject.built():
        head.train()
        expect_gradients(head, head.loss(head(pyramid.features(), pyramid.input()), subject.target(pyramid))["loss"])


def check_parts(subject: HeadSubject) -> None:
    """A batch that is taken in parts has the gradient of the whole, or the options refuse to take it so."""
    try:
        subject.options.check_split(2, 1, subject.target_info)
    except ValueError as error:
        raise NotApplicableError(str(error)) from None
    pyramid = subject.pyramids[0]
    head, seeds = subject.build(pyramid).double(), range(2)
    as_in_training_but_still(head)
    features = _joined([_converted(pyramid.features(seed)) for seed in seeds])
    x = torch.cat([pyramid.input(seed).double() for seed in seeds])
    whole = Batch(x, torch.cat([subject.target(pyramid, seed) for seed in seeds]), tuple(map(str, range(len(x)))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mixed = head.mix(whole)
    batches = [(x, whole.target)] if mixed[1] is whole.target else [(x, whole.target), mixed]
    for batch, target in batches:
        wanted = _gradients_of_parts(head, features, batch, target, [slice(None)])
        found = _gradients_of_parts(head, features, batch, target, [slice(0, 1), slice(1, None)])
        expect_close(found, wanted, FLOAT64, f"in parts of 1 and {len(x) - 1} examples,")


def check_mix(subject: HeadSubject) -> None:
    """Mixing keeps the shape of the batch, and the loss takes what comes of it."""
    for pyramid, head in subject.built():
        head.train()
        x, target = pyramid.input(), subject.target(pyramid)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            mixed, mixed_target = head.mix(Batch(x.clone(), target.clone(), tuple(map(str, range(BATCH)))))
        expect(mixed.shape == x.shape, f"mix turns {list(x.shape)} into {list(mixed.shape)}")
        expect(len(mixed_target) == BATCH, f"mix turns {BATCH} targets into {len(mixed_target)}")
        value = head.loss(head(pyramid.features(), mixed), mixed_target)["loss"]
        expect(bool(torch.isfinite(value)), f"the loss of a mixed batch is {float(value.detach())}")


def check_deterministic(subject: HeadSubject) -> None:
    """In eval mode the same features give the same logits, whatever ran before."""
    for pyramid, head in subject.built():
        with torch.no_grad():
            first = head(pyramid.features(), pyramid.input())
            head(pyramid.features(1), pyramid.input(1))
            again = head(pyramid.features(), pyramid.input())
        expect_close({"logits": again}, {"logits": first}, EXACT, f"from {pyramid}, run again,")


def check_state(subject: HeadSubject) -> None:
    """The state goes to a file and back into a fresh head, completely."""
    for pyramid, head in subject.built():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.safetensors"
            save_file({name: item.contiguous() for name, item in head.state_dict().items()}, path)
            again = subject.build(pyramid, seed=1)
            again.load_state_dict(load_file(path), strict=True)
        with torch.no_grad():
            wanted, found = (one(pyramid.features(), pyramid.input()) for one in (head, again))
        expect_close({"logits": found}, {"logits": wanted}, EXACT, f"from {pyramid}, with the state of another,")


def check_precisions(subject: HeadSubject) -> None:
    """Under bf16 autocast logits are close to those of float32, and in float64 they are float64."""
    for pyramid, head in subject.built():
        features, x, target = pyramid.features(), pyramid.input(), subject.target(pyramid)
        with torch.no_grad():
            wanted = head(features, x)
        with torch.autocast("cpu", torch.bfloat16):
            found = head(features, x)
            value = head.loss(found, target)["loss"]
        expect_close({"logits": found}, {"logits": wanted}, HALF, f"from {pyramid}, with bf16,")
        expect(value.dtype == torch.float32, f"with bf16 the loss is computed in {value.dtype}, not in float32")
        double = head.double()(_converted(features), x.double())
        expect(double.dtype == torch.float64, f"in float64 the logits are {double.dtype}: something casts")
        expect_close({"logits": double}, {"logits": wanted}, ROUNDING, f"from {pyramid}, in float64,")


def check_channels_last(subject: HeadSubject) -> None:
    """Maps and kernels with channels last in memory give the same logits."""
    for pyramid, head in subject.built():
        features, x = pyramid.features(), pyramid.input()
        with torch.no_grad():
            wanted = head(features, x)
            for parameter in head.parameters():
                if memory_format := CHANNELS_LAST.get(parameter.ndim):
                    parameter.data = parameter.data.contiguous(memory_format=memory_format)
            maps = tuple(item.contiguous(memory_format=CHANNELS_LAST[item.ndim]) for item in features.maps)
            found = head(replace(features, maps=maps), x)
        expect_close({"logits": found}, {"logits": wanted}, ROUNDING, f"from {pyramid}, with channels last,")


def check_devices(subject: HeadSubject) -> None:
    """Mixing, forward, loss and backward stay on the device of the batch, and read no value back from there."""
    pyramid = subject.pyramids[0]
    head = subject.build(pyramid).to(META).train()
    with expect_no_wait("on the meta device"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        losses = _losses(head, *_on_device(subject, pyramid, META), mixed=True)
        torch.autograd.backward(losses["loss"])
    if torch.cuda.is_available():  # where GPUs are, they need not be faked
        return
    head = subject.build(pyramid).train()
    with expect_no_wait("on a GPU that is faked"), fake_gpu(head), torch.autocast("cuda", torch.bfloat16):
        # Mixing draws its random numbers on the CPU, where they have no values now either.
        for name, value in _losses(head, *_on_device(subject, pyramid, GPU), mixed=False).items():
            expect(value.device == GPU, f"{name!r} is on {value.device}, not where the batch is")


def check_compiles(subject: HeadSubject) -> None:
    """torch.compile follows forward without a break of the graph (see `medvid.testing.numeric_checks`)."""
    pyramid = subject.pyramids[0]
    head, features, x = subject.build(pyramid), pyramid.features(), pyramid.input()
    torch._dynamo.reset()
    with torch.no_grad():
        wanted = head(features, x)
        try:
            found = torch.compile(head, backend="eager", fullgraph=True)(features, x)
        except torch._dynamo.exc.TorchDynamoException as error:
            expect(False, f"torch.compile breaks off: {str(error).strip().splitlines()[0]}")
    torch._dynamo.reset()
    expect_close({"logits": found}, {"logits": wanted}, ROUNDING, "compiled,")


HEAD_CHECKS = (
    check_logits,
    check_loss,
    check_gradients,
    check_parts,
    check_mix,
    check_deterministic,
    check_state,
    check_precisions,
    check_channels_last,
    check_devices,
    check_compiles,
)


def _on_device(subject: HeadSubject, pyramid: Pyramid, device: torch.device) -> tuple[Features, Batch]:
    """Features and batch, of which shapes and types are known."""

    def empty(item: Tensor) -> Tensor:
        return torch.empty(item.shape, dtype=item.dtype, device=device)

    seen = _changed(pyramid.features(), empty)
    return seen, Batch(empty(pyramid.input()), empty(subject.target(pyramid)), tuple(map(str, range(BATCH))))


def _losses(head: Head, features: Features, batch: Batch, *, mixed: bool) -> dict[str, Tensor]:
    x, target = head.mix(batch) if mixed else (batch.input, batch.target)
    return head.loss(head(features, x), target)


def _joined(items: Sequence[Features]) -> Features:
    maps = tuple(torch.cat(same) for same in zip(*(item.maps for item in items), strict=True))
    embeddings, frames = (
        [found for item in items if (found := getattr(item, name)) is not None] for name in ("embedding", "frames")
    )
    return Features(maps, torch.cat(embeddings) if embeddings else None, torch.cat(frames) if frames else None)


def _gradients_of_parts(
    head: Head, features: Features, input: Tensor, target: Tensor, parts: Sequence[slice]
) -> dict[str, Tensor]:
    """The head's gradients as the training loop has them, by name."""
    head.zero_grad()
    total = 0.0
    for part in parts:
        losses = head.loss(head(_changed(features, itemgetter(part)), input[part]), target[part])
        weight = float(losses.get("weight", len(input[part])))
        torch.autograd.backward(losses["loss"] * weight)
        separate_gradients(head.parameters())
        total += weight
    return {name: gradient / total for name, gradient in compare.gradients(head).items()}


def _converted(features: Features) -> Features:
    return _changed(features, Tensor.double)


def _changed(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """With each of their tensors changed."""
    vectors = (features.embedding, features.frames)
    return Features(tuple(map(change, features.maps)), *(None if one is None else change(one) for one in vectors))
