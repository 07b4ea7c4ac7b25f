from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvid.data.batch import Batch
from medvid.data.dataset import Case, Dataset, Progress
from medvid.data.splits import Splits
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing import ToyOptions


class TinyBackbone(Backbone):
    feature_info = FeatureInfo(maps=(MapInfo(4, (1, 1)),))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3, padding=1)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)  # laid out differently in memory with channels last
        self.norm = nn.BatchNorm2d(4)

    def forward(self, input: Tensor) -> Features:
        return Features(maps=(torch.relu(self.norm(self.conv(self.stem(input)))),))


class TinyHead(Head):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.conv = nn.Conv2d(4, 2, 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002 (the contract of heads)
        logits: Tensor = self.conv(self.dropout(features.maps[0]))
        return logits

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": nn.functional.cross_entropy(output, target)}

    def evaluator(self, *_: Any) -> Any:
        raise AssertionError("the loop does not evaluate")


class NoisyImages(Dataset):
    """Images drawn from the sample's seed; a case named "bad" turns NaN from the second epoch on."""

    options = ToyOptions(axes="image", where="voxel", channels=1, size=(8, 8), labels=("background", "bright"))
    input_info = InputInfo("image", 1, (8, 8))
    target_info = TargetInfo("voxel", "class", ("background", "bright"))

    def __init__(self, cases: Sequence[str]) -> None:
        self._cases = tuple(cases)

    def declared(self) -> Splits:
        return {"train": self._cases}

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        progress(len(cases), len(cases))

    def digest(self, cases: Sequence[str]) -> str:
        return ",".join(cases)

    def draw(self, case: str, seed: int) -> Batch:
        image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        target = (image[:, 0] > 0).long()
        return Batch(image * float("nan") if case == "bad" else image, target, (case, case))

    def open_case(self, case: str) -> Case:
        raise AssertionError(case)

    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        raise AssertionError(paths)


@pytest.fixture
def tiny_model() -> Model:
    torch.manual_seed(0)
    return Model(TinyBackbone(), TinyHead())


@pytest.fixture
def images() -> Dataset:
    return NoisyImages([f"case{number}" for number in range(5)])


@pytest.fixture
def images_with_nan() -> Dataset:
    return NoisyImages(["good", "bad"])
