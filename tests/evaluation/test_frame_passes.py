"""Frames of cases of any length: each read and embedded once, and answered as the whole case at once would be."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.config.axes import SLICES
from medvid.config.task import TrainOptions
from medvid.data.framed import FramedCase, answered_place, filled, window_at
from medvid.errors import NumericError
from medvid.evaluation.inference.ensemble import Average, Ensemble
from medvid.evaluation.inference.model import InferenceModel
from medvid.evaluation.protocols import ViewProtocol
from medvid.models.axes import AxisFold
from medvid.models.backbone import Backbone
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.frame_head import FrameHead
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import Answered, InputInfo, TargetInfo
from medvid.plugin.specs import Axes
from medvid.testing.evaluation import make_evaluator
from medvid.testing.toy import ToyFrames
from medvid.training.device import make_fabric
from medvid.training.optimizers.options import AdamWOptions
from medvid_heads.config import SequenceOptions

HOST = make_host()
VALUES = TargetInfo("frame", "value", ("depth", "width"), ("mm", "mm"), has_unknown=True)
SIZE = {"video": (4, 6, 8), "volume": (6, 8, 4)}
TEMPORAL = [
    {"name": "tcn", "stages": 2, "dilations": [1, 3], "channels": 4, "causal": True},
    {"name": "tcn", "stages": 1, "dilations": [2, 1], "channels": 4, "causal": False},
    {"name": "transformer", "reach": 3, "num_heads": 2, "hidden_size": 4, "dim_feedforward": 8, "causal": True},
    {"name": "transformer", "reach": 2, "num_heads": 2, "hidden_size": 4, "dim_feedforward": 8, "causal": False},
]
temporals = st.sampled_from(TEMPORAL)


class Seen(Backbone):
    """A backbone of images that counts them."""

    feature_info = FeatureInfo((MapInfo(5, (2, 2)),))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 5, 2, stride=2)
        self.frames = 0

    def forward(self, input: Tensor) -> Features:
        self.frames += len(input)
        return Features((self.conv(input).tanh(),))


class Read(FramedCase):
    """A case that remembers which of its frames were read, and in what order."""

    def __init__(self, case: ToyFrames) -> None:
        self.id, self.target, self.places_of, self._case = case.id, case.target, case.places, case
        self.read: list[int] = []

    @property
    def places(self) -> Any:
        return self.places_of

    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        self.read += range(start, stop, step)
        return self._case.frames(start, stop, step)


def info(axes: Axes, step: int = 1, answered: Answered = "all") -> InputInfo:
    return InputInfo(axes, 1, SIZE[axes], step, answered)


def model_of(temporal: dict[str, Any], axes: Axes, seed: int = 0) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, adapter = Seen(), AxisFold(SLICES[axes])
        options = SequenceOptions.model_validate({"name": "sequence", "temporal": temporal})
        trained_on = replace(info(axes), size=(64, 64, 64))
        head = build_head(HOST.build, options, adapter.feature_info(backbone.feature_info), trained_on, VALUES)
        model = Model(backbone, head, adapter)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
    return model.eval()


def case_of(count: int, axes: Axes) -> Read:
    size = [1, *SIZE[axes]]
    size[1 + SLICES[axes]] = count
    return Read(ToyFrames("a", torch.randn(size, generator=torch.Generator().manual_seed(count)), None, axes))


def answers(model: nn.Module, case: Read, given_info: InputInfo, **block: Any) -> Tensor:
    inference = make_evaluator(HOST, given_info, VALUES, **{"figures": 0, "window_batch": 2, **block}).inference
    [inferred] = inference.infer(model, [inference.load(case)], final=True)
    return inferred.answers


def at_once(model: Model, case: Read, step: int = 1) -> Tensor:
    """The answers of all frames, from the whole case at once, or from all frames of each offset."""
    axis, found = 1 + SLICES[case._case.axes], torch.zeros(case.frame_count, 2)
    for offset in range(min(step, case.frame_count)):
        with torch.no_grad():
            frames = case._case.all.index_select(axis, torch.arange(offset, case.frame_count, step))
            found[offset::step] = model(frames[None])[0]
    return found.double()


@settings(max_examples=60, deadline=None)
@given(temporals, st.integers(1, 60), st.integers(1, 3), st.sampled_from(["video", "volume"]))
def test_a_stream_answers_as_the_whole_case_would(temporal: dict[str, Any], count: int, step: int, axes: Axes) -> None:
    model, case = model_of(temporal, axes), case_of(count, axes)
    found = answers(model, case, info(axes, step))
    torch.testing.assert_close(found, at_once(model, case, step), rtol=0, atol=1e-5)
    assert case.read == [*range(count)]
    assert isinstance(model.backbone, Seen)
    assert model.backbone.frames == count + count  # each once, and once for the whole


@settings(max_examples=60, deadline=None)
@given(
    temporals,
    st.integers(1, 40),
    st.integers(1, 4),
    st.sampled_from(["last", "centre"]),
    st.sampled_from(["video", "volume"]),
    st.booleans(),
)
def test_a_window_for_each_frame_is_that_of_training(
    temporal: dict[str, Any], count: int, step: int, answered: Answered, axes: Axes, alone: bool
) -> None:
    model, case, given_info = model_of(temporal, axes), case_of(count, axes), info(axes, step, answered)
    wanted, place = [], answered_place(answered, 4)
    for number in range(count):
        window = window_at(number - place * step, given_info)
        frames = case._case.all.index_select(1 + SLICES[axes], torch.tensor(filled(window, count)))
        with torch.no_grad():
            wanted.append(model(frames[None])[0, place])
    if not alone:
        model.adapter = Mixing(AxisFold(SLICES[axes]))
        assert model.context is None
    found = answers(model, case, given_info)
    torch.testing.assert_close(found, torch.stack(wanted).double(), rtol=0, atol=1e-5)
    assert case.read == [*range(count)]


class Mixing:
    """An adapter of which nobody knows that it runs the backbone frame by frame."""

    def __init__(self, fold: AxisFold) -> None:
        self.features, self.feature_info = fold.features, fold.feature_info


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.floats(0, 0.9))
def test_windows_of_frames_that_are_apart_see_every_frame(count: int, step: int, overlap: float) -> None:
    class Brightness(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            assert ((input[:, :, 1:] - input[:, :, :-1] == step) | (input[:, :, 1:] == count - 1)).all()
            return input.mean(dim=(1, 3, 4))[..., None].expand(-1, -1, 2)

    numbers = torch.arange(float(count)).view(1, count, 1, 1).expand(1, count, 2, 2)
    case = Read(ToyFrames("a", numbers, None, "video"))
    found = answers(Brightness(), case, InputInfo("video", 1, (3, 2, 2), step), overlap=overlap)
    assert found[:, 0].tolist() == [*range(count)]
    assert case.read == [*range(count)]


@pytest.mark.parametrize("temporal", [TEMPORAL[0], TEMPORAL[2]])
def test_later_frames_do_not_change_the_answers_of_causal_models(temporal: dict[str, Any]) -> None:
    model, case = model_of(temporal, "video"), case_of(30, "video")
    changed = Read(ToyFrames("a", case._case.all.clone(), None, "video"))
    changed._case.all[:, 17:] += 1
    for answered in ("all", "last"):
        before, after = (answers(model, one, info("video", 1, answered)) for one in (case, changed))
        assert torch.equal(before[:17], after[:17])
        assert (before[17] != after[17]).all()


def test_mirrored_and_several_models_are_embedded_once_each() -> None:
    models = [model_of(temporal, "video", seed) for seed, temporal in enumerate(TEMPORAL)]
    case, flipped = case_of(25, "video"), case_of(25, "video")
    object.__setattr__(flipped._case, "all", flipped._case.all.flip(-1))
    wanted = [(at_once(model, case) + at_once(model, flipped)) / 2 for model in models]
    average = Average(len(models), "probabilities", "value")
    inference = make_evaluator(HOST, info("video"), VALUES, mirror=["W"]).inference
    several: Any = type(inference)(
        inference._options, ViewProtocol("spread", "probabilities", "value"), info("video"), VALUES, average
    )
    for model in models:
        model.backbone.frames = 0  # type: ignore[assignment]
    [inferred] = several.infer(Ensemble(models, "frame"), [case], final=True)
    torch.testing.assert_close(inferred.answers, torch.stack(wanted).mean(0), rtol=0, atol=1e-5)
    assert [model.backbone.frames for model in models] == [50] * len(models)
    assert case.read == [*range(25)]


def test_bf16_answers_are_close_and_a_case_that_cannot_be_answered_is_named() -> None:
    recipe = {"steps": 1, "batch_size": 1, "optimizer": AdamWOptions(lr=1e-3), "accelerator": "cpu"}
    fabric = make_fabric(TrainOptions.model_validate(recipe | {"precision": "bf16"}))
    model, case = model_of(TEMPORAL[0], "video"), case_of(25, "video")
    inference = make_evaluator(HOST, info("video"), VALUES).inference
    [inferred] = InferenceModel(fabric, model).infer(inference, ["a"], [case], final=True)
    torch.testing.assert_close(inferred.answers, at_once(model, case), rtol=0, atol=0.1)
    assert not torch.equal(inferred.answers, at_once(model, case))
    case._case.all[:, 20] = torch.nan
    with pytest.raises(NumericError, match="output for case a is not finite"):
        InferenceModel(fabric, model).infer(inference, ["a"], [case], final=True)


def test_the_manner_says_what_an_answer_is_made_of() -> None:
    def manner(model: nn.Module, given_info: InputInfo) -> str:
        inference = make_evaluator(HOST, given_info, VALUES).inference
        [inferred] = inference.infer(model, [case_of(5, "video")], final=True)
        return str(inferred.manner)

    model = model_of(TEMPORAL[0], "video")
    assert isinstance(model.head, FrameHead)
    assert manner(model, info("video", 4)).endswith("is answered once from 16 before it and 0 after it, 4 apart")
    assert manner(model, info("video", 4, "last")).endswith(
        "windows of 4 embedded frames, 4 apart, each of which answers the frame that it ends with"
    )
    model.adapter = Mixing(AxisFold(0))
    assert "windows of 4 frames, which overlap by 50%" in manner(model, info("video"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=8), st.data())
def test_frames_are_kept_as_long_as_they_are_wanted(sizes: Sequence[int], data: st.DataObject) -> None:
    from medvid.evaluation.inference.frame_passes import _Frames

    kept, wanted = _Frames(), 0
    for size in sizes:
        kept.add(torch.arange(kept.stop, kept.stop + size))
        wanted = data.draw(st.integers(wanted, kept.stop - 1))
        kept.forget(wanted)
        assert kept.between(wanted, kept.stop).tolist() == [*range(wanted, kept.stop)]
    assert sum(map(len, kept._pieces)) < kept.stop - wanted + max(sizes)
