"""MedMNIST's files as published, its official figures, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medvid.config.examples import read_options
from medvid.errors import DataError
from medvid.plugin.host import make_host
from medvid.plugin.specs import DatasetSpec
from medvid_medmnist.data import MedMNIST
from medvid_medmnist.protocol import figures_of_classes, figures_of_labels
from medvid_medmnist.sets import IMAGES, VOLUMES

HOST = make_host()


def opened(folder: Path, name: str, **options: Any) -> MedMNIST:
    block = {"root": str(folder), "cache": str(folder / "cache"), **options}
    dataset: MedMNIST = HOST.build(read_options(HOST, HOST.spec(DatasetSpec, name), block))
    return dataset


def write(path: Path, shape: tuple[int, ...], classes: int, columns: int = 1) -> dict[str, np.ndarray]:
    random, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 3), ("val", 2), ("test", 2)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{split}_labels"] = random.integers(0, classes, (count, columns)).astype(np.uint8)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type] # numpy's own annotation of its keywords
    return arrays


def ignore(done: int, total: int) -> None: ...


def test_there_are_twelve_and_six() -> None:
    assert (len(IMAGES), len(VOLUMES)) == (12, 6)


@pytest.mark.parametrize("unpacked", [False, True])
def test_images_are_as_in_the_file(tmp_path: Path, unpacked: bool) -> None:
    arrays = write(tmp_path / "pathmnist_64.npz", (64, 64, 3), 9)
    dataset = opened(tmp_path, "medmnist2d", flag="pathmnist", resolution=64)
    assert {split: len(cases) for split, cases in dataset.splits.items()} == {"train": 3, "validation": 2, "test": 2}
    if unpacked:
        dataset.prepare(dataset.cases("train"), ignore)
        (tmp_path / "pathmnist_64.npz").touch()  # a changed file is unpacked again
        dataset.prepare(dataset.cases("validation"), ignore)
    case = dataset.open_case("validation/000001")
    expected = np.moveaxis(arrays["val_images"][1] / 255, -1, 0)
    np.testing.assert_allclose(case.input().numpy(), (expected - 0.5) / 0.5, atol=1e-6)
    assert case.target == int(arrays["val_labels"][1, 0])
    assert dataset.draw("train/000000", 0).input.shape == (1, 3, 64, 64)


def test_labels_and_volumes(tmp_path: Path) -> None:
    arrays = write(tmp_path / "chestmnist.npz", (28, 28), 2, 14)
    chest = opened(tmp_path, "medmnist2d", flag="chestmnist", size=[32, 32], channels=1)
    chest.prepare(chest.cases("test"), ignore)
    target = chest.open_case("test/000000").target
    assert target is not None
    assert target.tolist() == arrays["test_labels"][0].tolist()
    assert chest.open_case("test/000000").input().shape == (1, 32, 32)
    arrays = write(tmp_path / "organmnist3d.npz", (28, 28, 28), 11)
    organs = opened(tmp_path, "medmnist3d", flag="organmnist3d")
    torch.testing.assert_close(
        organs.open_case("train/000002").input()[1], torch.from_numpy(arrays["train_images"][2] / 127.5 - 1).float()
    )


def test_what_is_not_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pneumoniamnist.npz cannot be read: No such file") as caught:
        opened(tmp_path, "medmnist2d", flag="pneumoniamnist").cases("train")
    assert "zenodo" in caught.value.hint
    write(tmp_path / "pneumoniamnist.npz", (28, 28), 200)
    with pytest.raises(DataError, match=r"the labels of train, \(3, 1\), are not 1 of 0 to 1 each"):
        opened(tmp_path, "medmnist2d", flag="pneumoniamnist").prepare(["train/000000"], ignore)
    (tmp_path / "octmnist.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"octmnist.npz cannot be read"):
        opened(tmp_path, "medmnist2d", flag="octmnist").prepare(["train/000000"], ignore)


def test_the_official_figures() -> None:
    scores = np.array([[0.5, 0.5], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    assert figures_of_classes(scores, np.array([1, 1, 0, 0])) == {"auc": 0.5, "acc": 0.5}  # 0.5 itself is class 0
    three = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [0.4, 0.5, 0.1]])
    assert figures_of_classes(three, np.array([0, 1, 2, 0])) == pytest.approx({"auc": (1 + 5 / 6 + 1) / 3, "acc": 0.75})
    assert np.isnan(figures_of_classes(three, np.array([0, 1, 1, 0]))["auc"])  # as sklearn 1.9 has it
    labels = figures_of_labels(np.array([[0.9, 0.2], [0.4, 0.6]]), np.array([[1, 0], [0, 0]]))
    assert labels["acc"] == 0.75
    assert np.isnan(labels["auc"])
