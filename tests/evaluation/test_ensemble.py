"""Several models as one: the mean is what it says, and it is that of whole predictions, not of windows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.evaluation.inference.ensemble import Average, Ensemble
from medvid.evaluation.inference.sliding_window import stream_scores
from medvid.evaluation.protocols import ViewProtocol

logits = st.lists(st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3), min_size=2, max_size=4).map(
    torch.tensor
)
"""Of several models (M, 3)."""


def of_classes(scores: Tensor) -> Tensor:
    return scores.double().softmax(dim=0)


def of_labels(scores: Tensor) -> Tensor:
    return scores.double().sigmoid()


@given(logits)
def test_scores_decide_as_the_mean_does(members: Tensor) -> None:
    for what, probabilities in (("class", of_classes), ("labels", of_labels)):
        mean = torch.stack([probabilities(one) for one in members]).mean(dim=0)
        found = Average(len(members), "probabilities", what).scores(members.flatten())
        torch.testing.assert_close(probabilities(found), mean, atol=1e-5, rtol=1e-4)
        assert torch.equal(Average(len(members), "logits", what).scores(members.flatten()), members.mean(dim=0))


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("what", ["class", "labels", "value"])
@pytest.mark.parametrize("frames", [(), (5,)])
def test_views_are_combined_for_each_model_by_itself(average: str, what: str, frames: tuple[int, ...]) -> None:
    protocol = ViewProtocol("spread", "probabilities", what)
    models = [torch.randn(4, *frames, 3, generator=torch.Generator().manual_seed(seed)).double() for seed in range(3)]
    found = Average(3, average, what).of_views(torch.cat(models, dim=-1), protocol.combine)
    if average == "logits" or what == "value":
        expected = protocol.combine(torch.stack(models).mean(dim=0))
    else:
        answers = torch.stack([protocol.combine(one) for one in models])
        expected = answers.exp().mean(dim=0).log() if what == "class" else answers.mean(dim=0)
    torch.testing.assert_close(found, expected)


@torch.inference_mode()
def test_windows_are_blended_before_probabilities_are_averaged() -> None:
    torch.manual_seed(0)
    models = [nn.Conv3d(1, 4, 3, padding=1) for _ in range(3)]
    volume = 3 * torch.randn(1, 9, 8, 14)

    def whole(model: nn.Module) -> list[Tensor]:
        return [*stream_scores(model, volume, (6, 8, 6), overlap=0.5, blending="gaussian", window_batch=2)]

    average = Average(3, "probabilities", "class")
    ours = torch.cat([average.scores(slab) for slab in whole(Ensemble(models, "voxel"))], dim=-1).softmax(dim=0)
    each = [torch.cat(whole(model), dim=-1).softmax(dim=0) for model in models]
    torch.testing.assert_close(ours, torch.stack(each).mean(dim=0))
