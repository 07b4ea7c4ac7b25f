"""The head `sequence`: what its models of time depend on, and their losses."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medvid.data.framed import draw_window
from medvid.errors import ConfigError
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.frame_head import FrameHead
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, InputInfo, TargetInfo
from medvid.testing.toy import ToyFrames
from medvid_heads.config import SequenceOptions, TCNOptions
from medvid_heads.sequence import smoothness

HOST = make_host()
WIDTH = 3
CLASSES = TargetInfo("frame", "class", ("a", "b"), has_unknown=True)

dilations = st.lists(st.integers(1, 4), min_size=1, max_size=3)
tcns = st.fixed_dictionaries(
    {"name": st.just("tcn"), "stages": st.integers(1, 3), "dilations": dilations, "causal": st.booleans()}
)
transformers = st.fixed_dictionaries(
    {"name": st.just("transformer"), "reach": st.integers(1, 4), "num_layers": st.integers(1, 3)}
    | {"causal": st.booleans(), "hidden_size": st.just(8), "num_heads": st.just(2)}
)


def head_of(temporal: dict[str, Any], info: TargetInfo = CLASSES, window: int = 64, **more: Any) -> FrameHead:
    """A head on one map of images, with parameters that make small effects visible, in float64."""
    options = SequenceOptions.model_validate({"name": "sequence", "temporal": temporal, **more})
    features = FeatureInfo((MapInfo(WIDTH, (1, 4, 4)),))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = build_head(HOST.build, options, features, InputInfo("video", 1, (window, 4, 4)), info)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    assert isinstance(head, FrameHead)
    return head.double().eval()


@settings(max_examples=60, deadline=None)
@given(tcns | transformers, st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_an_answer_depends_on_its_context_alone(temporal: dict[str, Any], length: int, seed: int) -> None:
    head, random = head_of(temporal), torch.Generator().manual_seed(seed)
    one, other = (torch.randn(1, length, WIDTH, generator=random, dtype=torch.float64) for _ in range(2))
    frame = seed % length
    first, stop = max(frame - head.context.before, 0), frame + head.context.after + 1
    other[:, first:stop] = one[:, first:stop]
    whole, changed = head.answer(one), head.answer(other)
    piece = head.answer(one[:, first:stop])
    assert isinstance(whole, Tensor)
    assert isinstance(piece, Tensor)
    assert torch.equal(whole[:, frame], changed[:, frame])  # type: ignore[call-overload]
    torch.testing.assert_close(piece[:, frame - first], whole[:, frame], rtol=0, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(tcns | transformers)
def test_the_context_is_no_wider_than_that(temporal: dict[str, Any]) -> None:
    head = head_of(temporal | ({"stages": 1} if temporal["name"] == "tcn" else {}))
    for parameter in head.parameters():
        parameter.data.abs_()  # so that ReLU cuts no way to the furthest frames
    before, after = head.context
    x = torch.rand(1, before + 1 + after, WIDTH, dtype=torch.float64, requires_grad=True)
    output = head.answer(x)
    assert isinstance(output, Tensor)
    [gradient] = torch.autograd.grad(output[:, before].square().sum(), x)
    assert gradient[:, 0].any()
    assert gradient[:, -1].any()
    assert after == 0 or not temporal["causal"]


@pytest.mark.parametrize(
    ("temporal", "window", "context"),
    [
        ({"name": "tcn", "stages": 1}, 64, (2 * (1 + 2 + 4 + 8 + 16), 0)),
        ({"name": "tcn", "stages": 1, "causal": False}, 64, (63, 63)),
        ({"name": "tcn"}, 1, (0, 0)),
        ({"name": "tcn", "dilations": [7]}, 15, (28, 0)),
        ({"name": "transformer"}, 16, (30, 0)),
        ({"name": "transformer", "causal": False}, 1, (0, 0)),
        ({"name": "transformer", "reach": 15}, 16, (30, 0)),
    ],
)
def test_by_default_layers_look_as_far_as_a_window(
    temporal: dict[str, Any], window: int, context: tuple[int, int]
) -> None:
    assert head_of(temporal, window=window).context == context


@pytest.mark.parametrize(
    ("temporal", "option"),
    [
        ({"name": "tcn", "dilations": [1, 8]}, "dilations"),
        ({"name": "tcn", "dilations": [16], "causal": False}, "dilations"),
        ({"name": "transformer", "reach": 16}, "reach"),
    ],
)
def test_what_no_window_holds_is_refused_as_nothing_would_be_learnt_of_it(
    temporal: dict[str, Any], option: str
) -> None:
    with pytest.raises(ConfigError, match=rf"temporal\.{option} .* distance of 16, .* a length of 16"):
        head_of(temporal, window=16)


def test_a_stage_is_the_published_one() -> None:
    """By its formulas (MS-TCN, section 3.1), at one frame, of a causal stage with dilations 1 and 2."""
    head = head_of({"name": "tcn", "stages": 2, "dilations": [1, 2], "channels": 4})
    x = torch.randn(1, 5, WIDTH, dtype=torch.float64)
    stages = [
        [layer.weight.squeeze(-1) if layer.weight.shape[-1] == 1 else layer.weight for layer in stage.modules()
         if isinstance(layer, torch.nn.Conv1d)]
        for stage in head.layers.stages  # type: ignore[union-attr]
    ]  # fmt: skip
    biases = [
        [layer.bias for layer in stage.modules() if isinstance(layer, torch.nn.Conv1d)]
        for stage in head.layers.stages  # type: ignore[union-attr]
    ]
    given_frames = x[0].T
    for weights, offsets in zip(stages, biases, strict=True):
        hidden = weights[0] @ given_frames + offsets[0][:, None]
        for dilation, layer in ((1, 1), (2, 3)):
            past = [torch.nn.functional.pad(hidden, (shift * dilation, 0))[:, :5] for shift in (2, 1, 0)]
            seen = sum(weights[layer][..., tap] @ one for tap, one in enumerate(past)) + offsets[layer][:, None]
            hidden = hidden + weights[layer + 1] @ seen.relu() + offsets[layer + 1][:, None]
        logits = weights[5] @ hidden + offsets[5][:, None]
        given_frames = logits.softmax(dim=0)
    torch.testing.assert_close(head.answer(x), logits.T[None])


def test_the_loss_is_the_mean_over_the_stages_and_counts_only_what_is_known() -> None:
    head = head_of({"name": "tcn", "stages": 3, "dilations": [1], "dropout": 0.0}).train()
    x, target = torch.randn(2, 6, WIDTH, dtype=torch.float64), torch.tensor([[0, 1, UNKNOWN] * 2, [1] * 6])
    output = head.answer(x)
    assert len(output) == 3
    flat = target.flatten()
    wanted = [torch.nn.functional.cross_entropy(stage.flatten(0, 1), flat, ignore_index=UNKNOWN) for stage in output]
    losses = head.loss(output, target)
    torch.testing.assert_close(losses["loss"], torch.stack(wanted).mean())
    assert losses["weight"] == 10


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_jumps_cost_what_the_paper_says(length: int, seed: int) -> None:
    logits = 6 * torch.randn(2, length, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    log_p = np.log(np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(-1, keepdims=True))
    jumps = np.minimum(np.abs(np.diff(log_p, axis=1)), 4.0) ** 2
    assert float(smoothness(logits, "class")) == pytest.approx(jumps.mean() if length > 1 else 0.0)


def test_smoothing_adds_to_the_loss_and_draws_later_frames_to_earlier_ones() -> None:
    temporal = {"name": "tcn", "stages": 1, "dilations": [1], "dropout": 0.0}
    target = torch.tensor([[0, 0, 1, 1]])
    logits = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    plain, smoothed = (head_of(temporal, smoothing=weight).loss(logits, target) for weight in (0.0, 0.15))
    torch.testing.assert_close(smoothed["loss"], plain["loss"] + 0.15 * smoothness(logits, "class"))
    [gradient] = torch.autograd.grad(smoothness(logits, "labels"), logits)
    assert not gradient[:, 0].any()
    assert gradient[:, 1:].any()


def test_values_are_not_smoothed_and_parts_of_a_batch_not_where_frames_may_be_unknown() -> None:
    values = TargetInfo("frame", "value", ("depth",), ("mm",))
    with pytest.raises(ConfigError, match="smoothing is of the probabilities of neighbouring frames"):
        head_of({"name": "tcn"}, values, smoothing=0.15)
    options = SequenceOptions(name="sequence", smoothing=0.15)
    with pytest.raises(ValueError, match=r"head\.smoothing is a mean over all frames"):
        options.check_split(2, 1, CLASSES)
    options.check_split(1, 2, CLASSES)


def test_values_of_all_stages_come_in_their_units() -> None:
    info = TargetInfo("frame", "value", ("depth",), ("mm",), means=(50.0,), deviations=(10.0,))
    head = head_of({"name": "tcn", "dilations": [1]}, info, window=8)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    features = Features((torch.zeros(1, WIDTH, 8, 2, 2, dtype=torch.float64),))
    assert [stage.unique().tolist() for stage in head.train()(features, torch.zeros(1, 1, 8, 8, 8))] == [[50.0]] * 2


def test_embeddings_of_frames_come_before_maps() -> None:
    info = FeatureInfo((MapInfo(WIDTH, (1, 4, 4)),), embedding=5, frames=5)
    options = SequenceOptions(name="sequence")
    head = build_head(HOST.build, options, info, InputInfo("video", 1, (8, 4, 4)), CLASSES)
    given = Features((torch.zeros(1, WIDTH, 8, 1, 1),), torch.zeros(1, 5), torch.rand(1, 8, 5))
    assert isinstance(head, FrameHead)
    assert head.embed(given, torch.zeros(1, 1, 8, 4, 4)) is given.frames


def drawn(seed: int) -> ToyFrames:
    """A video of four phases of varying length, the first and the third of which look alike."""
    random, bright, phases = torch.Generator().manual_seed(seed), list[float](), list[int]()
    for phase, brightness in enumerate((0.0, 1.0, 0.0, 2.0)):
        length = int(torch.randint(15, 40, (), generator=random))
        bright, phases = bright + [brightness] * length, phases + [phase] * length
    noise = 0.5 * torch.randn(1, len(bright), 4, 4, generator=random)
    return ToyFrames(str(seed), torch.tensor(bright).view(1, -1, 1, 1) + noise, torch.tensor(phases), "video")


def test_a_model_of_time_tells_apart_what_looks_alike() -> None:
    info, random = InputInfo("video", 1, (64, 4, 4)), torch.Generator().manual_seed(0)
    target_info = TargetInfo("frame", "class", tuple("abcd"))
    options = SequenceOptions(name="sequence", temporal=TCNOptions(dropout=0.1), smoothing=0.15)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = build_head(HOST.build, options, FeatureInfo(frames=1), info, target_info)
        optimizer = torch.optim.AdamW(head.parameters(), 3e-3)
        videos = [drawn(seed) for seed in range(20)]
        for step in range(100):
            batches = [draw_window(videos[(8 * step + one) % 20], info, target_info, random) for one in range(8)]
            means = torch.cat([batch.input for batch in batches]).mean(dim=(1, 3, 4))[..., None]
            loss = head.loss(head(Features(frames=means), means), torch.cat([batch.target for batch in batches]))
            optimizer.zero_grad()
            torch.autograd.backward(loss["loss"])
            optimizer.step()
    head.eval()
    right = []
    for seed in range(100, 105):
        means = drawn(seed).all.mean(dim=(0, 2, 3))[None, :, None]
        right.append((head(Features(frames=means), means)[0].argmax(1) == drawn(seed).target).float().mean())
    assert torch.stack(right).mean() > 0.9  # of each frame by itself, 0.75 at most
