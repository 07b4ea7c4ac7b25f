"""Checks of heads: the contract with backbones and with the training loop, over many feature pyramids."""

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medvid.config.evaluation import EVALUATION_OPTIONS
from medvid.data.sample import Batch
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.memory_format import CHANNELS_LAST
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import HeadSpec
from medvid.testing import compare
from medvid.testing.check import NotApplicableError, Subject, expect
from medvid.testing.compare import (
    EXACT,
    FLOAT64,
    HALF,
    ROUNDING,
    as_in_training_but_still,
    check_gradients,
    expect_close,
    perturb,
)
from medvid.testing.pyramids import BATCH, Pyramid, pyramids
from medvid.testing.toy import ToyDataset, ToyOptions
from medvid.training.parts import separate_gradients

LABELS = ("background", "one", "two")


@dataclass(frozen=True)
class HeadSubject(Subject):
    """A head with one of its examples."""

    @cached_property
    def head_spec(self) -> HeadSpec:
        """The spec, as what it is."""
        return cast(HeadSpec, self.spec)

    @cached_property
    def target_info(self) -> TargetInfo:
        """What it is to predict."""
        return TargetInfo(self.head_spec.task, LABELS)

    @cached_property
    def pyramids(self) -> tuple[Pyramid, ...]:
        """What it has to work from."""
        return tuple(pyramids(self.head_spec))

    def build(self, pyramid: Pyramid, *, seed: int = 0) -> Head:
        """A freshly initialised head in eval mode, the same for the same seed; none of its parameters is zero."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = self.load(self.spec.target)(self.options, pyramid.feature_info, pyramid.input_info, self.target_info)
        expect(isinstance(head, Head), f"{self.spec.target} is no medvid.models.head.Head")
        perturb(head)
        return cast(Head, head.eval())

    def target(self, pyramid: Pyramid, seed: int = 0) -> Tensor:
        """Random labels: (B, *S) for segmentation, (B,) for classification."""
        size = pyramid.input_info.size if self.head_spec.task == "segmentation" else ()
        return torch.randint(len(LABELS), (BATCH, *size), generator=torch.Generator().manual_seed(seed))

    def built(self) -> Iterator[tuple[Pyramid, Head]]:
        """A head for each pyramid."""
        for pyramid in self.pyramids:
            yield pyramid, self.build(pyramid)


def logits(subject: HeadSubject) -> None:
    """Logits have one channel per label, and for segmentation the size of the input, on any pyramid."""
    for pyramid, head in subject.built():
        with torch.no_grad():
            found = head(pyramid.features(), pyramid.input())
        size = pyramid.input_info.size if subject.head_spec.task == "segmentation" else ()
        wanted = [BATCH, len(LABELS), *size]
        expect(list(found.shape) == wanted, f"from {pyramid} the logits are {list(found.shape)}, not {wanted}")
        expect(bool(torch.isfinite(found).all()), f"from {pyramid} the logits are not finite")


def loss(subject: HeadSubject) -> None:
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
        right = 10 * torch.nn.functional.one_hot(target, len(LABELS)).movedim(-1, 1).to(output.dtype)
        better, worse = (float(head.loss(sign * right, target)["loss"]) for sign in (1, -1))
        expect(better < worse, f"the loss of right answers ({better:g}) is not below that of wrong ones ({worse:g})")


def gradients(subject: HeadSubject) -> None:
    """The loss depends on every parameter, and on every part of the features that nothing else reaches."""
    for pyramid, head in subject.built():
        head.train()
        check_gradients(head, head.loss(head(pyramid.features(), pyramid.input()), subject.target(pyramid))["loss"])


def parts(subject: HeadSubject) -> None:
    """A batch that is taken in parts has the gradient of the whole, or the options refuse to take it so."""
    try:
        subject.options.check_split(2, 1)
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


def mix(subject: HeadSubject) -> None:
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


def deterministic(subject: HeadSubject) -> None:
    """In eval mode the same features give the same logits, whatever ran before."""
    for pyramid, head in subject.built():
        with torch.no_grad():
            first = head(pyramid.features(), pyramid.input())
            head(pyramid.features(1), pyramid.input(1))
            again = head(pyramid.features(), pyramid.input())
        expect_close({"logits": again}, {"logits": first}, EXACT, f"from {pyramid}, run again,")


def state(subject: HeadSubject) -> None:
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


def precisions(subject: HeadSubject) -> None:
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


def channels_last(subject: HeadSubject) -> None:
    """Maps and kernels with channels last in memory give the same logits."""
    for pyramid, head in subject.built():
        features, x = pyramid.features(), pyramid.input()
        with torch.no_grad():
            wanted = head(features, x)
            for parameter in head.parameters():
                if memory_format := CHANNELS_LAST.get(parameter.ndim):
                    parameter.data = parameter.data.contiguous(memory_format=memory_format)
            maps = tuple(item.contiguous(memory_format=CHANNELS_LAST[item.ndim]) for item in features.maps)
            found = head(Features(maps, features.embedding), x)
        expect_close({"logits": found}, {"logits": wanted}, ROUNDING, f"from {pyramid}, with channels last,")


def compiles(subject: HeadSubject) -> None:
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


def evaluator(subject: HeadSubject) -> None:
    """The evaluator scores a case, sums up, and has the figure that chooses the best checkpoint."""
    for layout in subject.head_spec.layouts:
        pyramid = next(pyramid for pyramid in subject.pyramids if pyramid.input_info.layout == layout)
        head, info = subject.build(pyramid), pyramid.input_info
        dataset = ToyDataset(ToyOptions.of(info, subject.target_info))
        found = head.evaluator(EVALUATION_OPTIONS[subject.head_spec.task](), info, subject.target_info)
        if found.loads_ahead:
            found = pickle.loads(pickle.dumps(found))  # noqa: S301 (its own pickle)
        case = dataset.cases("validation")[0]
        with tempfile.TemporaryDirectory() as folder:
            model = _Constant(len(LABELS), dense=subject.head_spec.task == "segmentation")
            rows = found.evaluate(model, found.load(dataset.case(case)), final=True, folder=Path(folder))
        expect(all(row.get("case") == case for row in rows) and bool(rows), f"on {layout}s, rows do not name the case")
        figures = found.summarise(rows).metrics
        expect(found.monitor in figures, f"on {layout}s, {found.monitor!r} is not among the figures {sorted(figures)}")


HEAD_CHECKS = (
    logits,
    loss,
    gradients,
    parts,
    mix,
    deterministic,
    state,
    precisions,
    channels_last,
    compiles,
    evaluator,
)


class _Constant(torch.nn.Module):
    """A model that gives the same logits everywhere."""

    def __init__(self, labels: int, *, dense: bool) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.arange(float(labels)))
        self.dense = dense

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *S) to (B, labels, *S), or to (B, labels)."""
        size = input.shape[2:] if self.dense else ()
        return self.logits.view(1, -1, *(1 for _ in size)).expand(len(input), -1, *size)


def _joined(items: Sequence[Features]) -> Features:
    maps = tuple(torch.cat(same) for same in zip(*(item.maps for item in items), strict=True))
    embeddings = [item.embedding for item in items if item.embedding is not None]
    return Features(maps, torch.cat(embeddings) if embeddings else None)


def _gradients_of_parts(
    head: Head, features: Features, input: Tensor, target: Tensor, parts: Sequence[slice]
) -> dict[str, Tensor]:
    """The head's gradients as the training loop has them, by name."""
    head.zero_grad()
    total = 0.0
    for part in parts:
        embedding = None if features.embedding is None else features.embedding[part]
        seen = Features(tuple(item[part] for item in features.maps), embedding)
        losses = head.loss(head(seen, input[part]), target[part])
        weight = float(losses.get("weight", len(input[part])))
        torch.autograd.backward(losses["loss"] * weight)
        separate_gradients(head.parameters())
        total += weight
    return {name: gradient / total for name, gradient in compare.gradients(head).items()}


def _converted(features: Features) -> Features:
    embedding = features.embedding
    return Features(tuple(item.double() for item in features.maps), None if embedding is None else embedding.double())
