"""The linear classifier and what all classification heads share."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from medvid.errors import ConfigError
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions

TARGET = TargetInfo("classification", tuple("abcdefg"))
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


def test_smoothing_and_weights_change_the_loss_as_defined() -> None:
    logits, target = torch.randn(4, 7), torch.tensor([0, 1, 6, 3])
    weights = tuple(range(1, 8))
    head = make_head(loss={"label_smoothing": 0.1, "class_weights": weights})
    log_p, w = logits.log_softmax(1), torch.tensor(weights, dtype=torch.float32)
    smooth = 0.9 * functional.one_hot(target, 7) + 0.1 / 7
    expected = -(smooth * w * log_p).sum() / w[target].sum()
    torch.testing.assert_close(head.loss(logits, target)["loss"], expected)


def test_a_weight_per_class_is_needed() -> None:
    with pytest.raises(ConfigError, match="class_weights has 2 weights, the data set 7 labels"):
        make_head(loss={"class_weights": [1, 2]})


def test_mixup_mixes_clips_and_labels_by_the_same_share() -> None:
    head = make_head(mix={"mixup": 0.8})
    clips = torch.stack([torch.full((3, 4, 8, 8), float(value)) for value in (0, 1, 2)])
    torch.manual_seed(3)
    mixed, target = head.mix(clips, torch.tensor([0, 1, 2]))
    share = target[0, 0].item()
    assert 0 < share < 1
    torch.testing.assert_close(target.sum(1), torch.ones(3))
    torch.testing.assert_close(mixed[0], torch.full((3, 4, 8, 8), (1 - share) * 2.0))  # 0 mixed with the one before, 2


def test_cutmix_puts_the_same_box_into_all_frames() -> None:
    head = make_head(mix={"cutmix": 1.0})
    clips = torch.stack([torch.full((3, 4, 8, 8), float(value)) for value in (0, 1)])
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, target = head.mix(clips, torch.tensor([0, 1]))
        assert (mixed[0] == mixed[0, :1, :1]).all(), "all channels and frames alike"
        torch.testing.assert_close(target[0, 1].item(), mixed[0].mean().item())


def test_both_alternate_and_mixing_has_its_probability() -> None:
    clips, labels = torch.rand(2, 3, 2, 8, 8), torch.tensor([0, 1])
    torch.manual_seed(0)
    never = make_head(mix={"mixup": 0.8, "cutmix": 1.0, "probability": 0.0}).mix(clips, labels)
    assert never[0] is clips
    assert never[1] is labels
    both, kinds = make_head(mix={"mixup": 0.8, "cutmix": 1.0}), []
    for _ in range(40):
        changed = (both.mix(clips, labels)[0][0] != clips[0]).float().mean().item()
        kinds.append("mixup" if changed > 0.99 else "cutmix")
    assert 8 < kinds.count("cutmix") < 32


def test_soft_targets_of_hard_labels_cost_the_same() -> None:
    head, logits, target = make_head(loss={"label_smoothing": 0.1}), torch.randn(3, 7), torch.tensor([1, 2, 3])
    soft = functional.one_hot(target, 7).float()
    torch.testing.assert_close(head.loss(logits, soft)["loss"], head.loss(logits, target)["loss"])
