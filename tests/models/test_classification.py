"""The linear classifier and what all classification heads share."""

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.batch import Batch
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.mixing import partners
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions

TARGET = TargetInfo("case", "class", tuple("abcdefg"))
INPUT = InputInfo("video", 3, (4, 8, 8))


def make_head(embedding: int | None = 6, **options: Any) -> LinearClassifier:
    torch.manual_seed(0)
    info = FeatureInfo(maps=(MapInfo(5, (1, 2, 2)), MapInfo(8, (2, 4, 4))), embedding=embedding)
    return LinearClassifier(LinearClassifierOptions(name="classification", **options), info, INPUT, TARGET)


def test_the_embedding_is_classified() -> None:
    head, embedding = make_head(), torch.rand(2, 6)
    logits = head(Features(embedding=embedding), torch.empty(0))
    torch.testing.assert_close(logits, embedding @ head.classifier.weight.T + head.classifier.bias)


def test_without_an_embedding_the_coarsest_map_is_pooled() -> None:
    head, coarse = make_head(embedding=None), torch.rand(2, 8, 2, 2, 2)
    pooled = head(Features(maps=(torch.rand(2, 5, 4, 4, 4), coarse)), torch.empty(0))
    torch.testing.assert_close(pooled, head.classifier(coarse.mean((2, 3, 4))))


def test_a_hidden_layer_stands_before_the_classifier() -> None:
    head = make_head(hidden_dim=12)
    assert head.classifier.in_features == 12
    assert head(Features(embedding=torch.rand(2, 6)), torch.empty(0)).shape == (2, 7)


def test_mixup_mixes_clips_and_labels_by_the_same_share() -> None:
    head = make_head(mix={"mixup": 0.8})
    clips = torch.stack([torch.full((3, 4, 8, 8), float(value)) for value in (0, 1, 2)])
    torch.manual_seed(3)
    mixed, target = head.mix(Batch(clips, torch.tensor([0, 1, 2]), ("a", "b", "c")))
    share = target[0, 0].item()
    assert 0 < share < 1
    torch.testing.assert_close(target.sum(1), torch.ones(3))
    torch.testing.assert_close(mixed[0], torch.full((3, 4, 8, 8), (1 - share) * 2.0))  # 0 mixed with the one before, 2


def test_cutmix_puts_the_same_box_into_all_frames() -> None:
    head = make_head(mix={"cutmix": 1.0})
    clips = torch.stack([torch.full((3, 4, 8, 8), float(value)) for value in (0, 1)])
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, target = head.mix(Batch(clips, torch.tensor([0, 1]), ("a", "b")))
        assert (mixed[0] == mixed[0, :1, :1]).all(), "all channels and frames alike"
        torch.testing.assert_close(target[0, 1].item(), mixed[0].mean().item())


def test_both_alternate_and_mixing_has_its_probability() -> None:
    clips, labels = torch.rand(2, 3, 2, 8, 8), torch.tensor([0, 1])
    batch = Batch(clips, labels, ("a", "b"))
    torch.manual_seed(0)
    never = make_head(mix={"mixup": 0.8, "cutmix": 1.0, "probability": 0.0}).mix(batch)
    assert never[0] is clips
    assert never[1] is labels
    both, kinds = make_head(mix={"mixup": 0.8, "cutmix": 1.0}), []
    for _ in range(40):
        changed = (both.mix(batch)[0][0] != clips[0]).float().mean().item()
        kinds.append("mixup" if changed > 0.99 else "cutmix")
    assert 8 < kinds.count("cutmix") < 32


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20), st.booleans())
def test_partners_are_of_other_cases_wherever_that_is_possible(cases: list[str], grouped: bool) -> None:
    cases = sorted(cases) if grouped else cases  # a case may come again where an epoch ends
    found = partners(cases)
    assert sorted(found) == list(range(len(cases)))
    same = sum(case == cases[partner] for case, partner in zip(cases, found, strict=True))
    assert same <= max(0, 2 * max(Counter(cases).values()) - len(cases))


@pytest.mark.parametrize("options", [{"mixup": 0.8}, {"cutmix": 1.0}])
@pytest.mark.parametrize("cases", [2, 3, 16])
def test_repeated_examples_of_a_case_are_not_mixed_with_each_other(options: dict[str, float], cases: int) -> None:
    head = make_head(mix=options)
    names = tuple(str(number // 2) for number in range(2 * cases))
    labels = torch.tensor([number // 2 % 7 for number in range(2 * cases)])
    clips = torch.arange(float(cases)).repeat_interleave(2).view(-1, 1, 1, 1, 1).expand(-1, 3, 2, 16, 16)
    for seed in range(5):
        torch.manual_seed(seed)
        mixed, target = head.mix(Batch(clips, labels, names))
        for example, own, probabilities in zip(mixed, clips, target, strict=True):
            if 0.05 < probabilities.max() < 0.95:
                assert (example != own).any(), "as it would be with another one of the same case"
                assert (probabilities > 0).sum() == 2


def test_a_single_case_is_not_mixed() -> None:
    clips, labels = torch.rand(2, 3, 2, 8, 8), torch.tensor([3, 3])
    mixed, target = make_head(mix={"mixup": 0.8, "cutmix": 1.0}).mix(Batch(clips, labels, ("a", "a")))
    assert mixed is clips
    assert target is labels


def test_channels_last_stay_last() -> None:
    clips = torch.rand(4, 3, 2, 8, 8).contiguous(memory_format=torch.channels_last_3d)
    for options in ({"mixup": 0.8}, {"cutmix": 1.0}):
        mixed, _ = make_head(mix=options).mix(Batch(clips, torch.arange(4), tuple("abcd")))
        assert mixed.is_contiguous(memory_format=torch.channels_last_3d)
