"""Checks of backbones: the contract with heads and with the training loop."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medvid.errors import MedvidError
from medvid.models.backbone import Backbone
from medvid.models.features import Features
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec
from medvid.testing import compare
from medvid.testing.backbone_subject import BATCH, BackboneSubject
from medvid.testing.check import CheckFailedError, NotApplicableError, expect
from medvid.testing.compare import (
    EXACT,
    FLOAT64,
    ROUNDING,
    as_in_training_but_still,
    expect_close,
    expect_gradients,
    random_sum,
    tensors,
)
from medvid.training.memory import checkpoint_layers
from medvid.training.parts import separate_gradients


def check_features(subject: BackboneSubject) -> None:
    """The features are those that `feature_info` declares: maps with their channels and strides, embedding."""
    for axes in cast(BackboneSpec, subject.spec).axes:
        expect(
            any(example.axes == axes for example in subject.spec.examples),
            f"the spec names the axes {axes}, but has no example for them",
        )
    _check_features(subject, subject.build(), subject.input_info)


def check_sizes(subject: BackboneSubject) -> None:
    """An input of another size works, or is refused by a message that names the size."""
    backbone = subject.build()
    for info in subject.other_infos():
        try:
            subject.options.check_input(info)
        except ValueError as error:
            _check_names_size(str(error), info, "check_input")
        else:
            _check_accepted(subject, info)
        try:
            found = backbone(subject.input(info))
        except (ValueError, MedvidError) as error:
            _check_names_size(str(error), info, "forward")
        except Exception as error:
            expect(False, f"forward of size {list(info.size)} raises {type(error).__name__}, not ValueError: {error}")
        else:
            _check_shapes(backbone, found, info)


def check_gradients(subject: BackboneSubject) -> None:
    """Every parameter affects the features, in training."""
    backbone = subject.build()
    as_in_training_but_still(backbone)  # a branch that is skipped by chance must not look like an unused parameter
    expect_gradients(backbone, random_sum([*tensors(backbone(subject.input())).values()]))


def check_parts(subject: BackboneSubject) -> None:
    """In training, a batch that is taken in parts has the gradient of the whole, but for norms over the batch."""
    backbone = subject.build().double()
    as_in_training_but_still(backbone)
    x = torch.cat([subject.input().double(), subject.input(seed=1)[:1].double()])
    if _is_random(backbone, x):
        backbone.eval()
    wanted, found = (_gradients_of_parts(backbone, batch) for batch in ([x], torch.split(x, [1, 2])))
    expect_close(found, wanted, FLOAT64, "in parts of 1 and 2 examples,")


def check_input_gradient(subject: BackboneSubject) -> None:
    """The features depend on the input, differentiably."""
    x = subject.input().requires_grad_()
    torch.autograd.backward(random_sum([*tensors(subject.build()(x)).values()]))
    expect(x.grad is not None and bool(x.grad.any()), "the features do not depend on the input")


def check_deterministic(subject: BackboneSubject) -> None:
    """In eval mode the same input gives the same features, whatever ran before."""
    backbone, x = subject.build(), subject.input()
    with torch.no_grad():
        first = tensors(backbone(x))
        backbone(subject.input(seed=1))
        expect_close(tensors(backbone(x)), first, EXACT, "run again,")
        expect_close(tensors(subject.build()(x)), first, EXACT, "built again from the same seed,")


def check_examples_apart(subject: BackboneSubject) -> None:
    """In eval mode the features of an example do not depend on the others of its batch."""
    backbone, x = subject.build(), subject.input()
    with torch.no_grad():
        together, alone = tensors(backbone(x)), tensors(backbone(x[:1]))
    expect_close({name: item[:1] for name, item in together.items()}, alone, ROUNDING, "next to another example,")


def check_state(subject: BackboneSubject) -> None:
    """The state goes to a file and back into a fresh backbone, completely."""
    backbone, x = subject.build(), subject.input()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_file({name: item.contiguous() for name, item in backbone.state_dict().items()}, path)
        again = subject.build(seed=1)
        again.load_state_dict(load_file(path), strict=True)
    with torch.no_grad():
        expect_close(tensors(again(x)), tensors(backbone(x)), EXACT, "with the state of another,")


def check_layers(subject: BackboneSubject) -> None:
    """`layers` are parts of the backbone in the order of registration; `no_weight_decay` names its tables."""
    backbone = subject.build()
    order = [id(module) for module in backbone.modules()]
    places = [order.index(id(layer)) if id(layer) in order else -1 for layer in backbone.layers]
    expect(-1 not in places, "one of `layers` is not part of the backbone")
    expect(places == sorted(set(places)), "`layers` are not in the order in which they are registered, each once")
    parameters = dict(backbone.named_parameters())
    for name in backbone.no_weight_decay:
        expect(name in parameters, f"no_weight_decay names {name!r}, which is not a parameter")
        expect(parameters[name].ndim > 1, f"no_weight_decay names {name!r}, which has one axis: it never decays")


def check_gradient_checkpointing(subject: BackboneSubject) -> None:
    """Gradient checkpointing of `layers` changes no gradient."""
    plain, saving, x = subject.build().train(), subject.build().train(), subject.input()
    if not plain.layers:
        raise NotApplicableError("it declares no `layers`")
    checkpoint_layers(saving)
    expect_close(_gradients(saving, x), _gradients(plain, x), ROUNDING, "with gradient checkpointing")


BACKBONE_CHECKS = (
    check_features,
    check_sizes,
    check_gradients,
    check_parts,
    check_input_gradient,
    check_deterministic,
    check_examples_apart,
    check_state,
    check_layers,
    check_gradient_checkpointing,
)


def _gradients(backbone: Backbone, x: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    torch.autograd.backward(random_sum([*tensors(backbone(x)).values()]))
    return compare.gradients(backbone)


def _is_random(backbone: Backbone, x: Tensor) -> bool:
    with torch.no_grad():
        first, second = tensors(backbone(x)), tensors(backbone(x))
    return any(not torch.equal(item, second[name]) for name, item in first.items())


def _gradients_of_parts(backbone: Backbone, batch: Sequence[Tensor]) -> dict[str, Tensor]:
    """The gradients of a sum over examples, as the training loop has them, by name."""
    backbone.zero_grad()
    for part in batch:
        sums = [random_sum([example]) for item in tensors(backbone(part)).values() for example in item]
        torch.autograd.backward(torch.stack(sums).sum())
        separate_gradients(backbone.parameters())
    return {name: gradient.clone() for name, gradient in compare.gradients(backbone).items()}


def _check_accepted(subject: BackboneSubject, info: InputInfo) -> None:
    try:
        _check_features(subject, subject.build(info), info)
    except Exception as error:
        raise CheckFailedError(
            f"check_input accepts size {list(info.size)}, but a backbone built for it fails: {error}"
        ) from error


def _check_features(subject: BackboneSubject, backbone: Backbone, info: InputInfo) -> None:
    with torch.no_grad():
        found = backbone(subject.input(info))
    _check_shapes(backbone, found, info)
    given = {name for name, part in (("maps", found.maps), ("embedding", found.embedding is not None)) if part}
    declared = set(getattr(subject.spec, "features", ()))
    expect(given == declared, f"the spec declares {sorted(declared)}, forward returns {sorted(given)}")


def _check_shapes(backbone: Backbone, found: Features, info: InputInfo) -> None:
    declared = backbone.feature_info
    expect(isinstance(found, Features), f"forward returns {type(found).__name__}, not Features")
    expect(
        len(found.maps) == len(declared.maps),
        f"feature_info declares {len(declared.maps)} maps, forward returns {len(found.maps)}",
    )
    for index, (item, expected) in enumerate(zip(found.maps, declared.maps, strict=True)):
        what = f"map {index} of input {list(info.size)} is {list(item.shape)}"
        expect(item.ndim == 2 + len(info.size), f"{what}, which is not (B, C, *S)")
        expect(item.shape[:2] == (BATCH, expected.channels), f"{what}, declared are {expected.channels} channels")
        allowed = [_lengths(length, stride) for length, stride in zip(info.size, expected.stride, strict=True)]
        expect(
            all(length in known for length, known in zip(item.shape[2:], allowed, strict=True)),
            f"{what}, declared are strides {list(expected.stride)}",
        )
    areas = [item.shape[2:].numel() for item in found.maps]
    expect(areas == sorted(areas, reverse=True), f"the maps are not in order, finest first: {areas} voxels")
    width = None if found.embedding is None else found.embedding.shape[1]
    expect(width == declared.embedding, f"feature_info declares an embedding of {declared.embedding}, it is {width}")


def _lengths(length: int, stride: int) -> set[int]:
    """Possible lengths of a map: the quotient, rounded up or down."""
    return {-(-length // stride), max(1, length // stride)}


def _check_names_size(message: str, info: InputInfo, where: str) -> None:
    expect(
        any(re.search(rf"\b{length}\b", message) for length in info.size),
        f"{where} refuses size {list(info.size)} by a message that names no length of it: {message}",
    )
