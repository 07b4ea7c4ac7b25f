from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvid.data.transforms.options import HorizontalFlipOptions
from medvid.plugin.specs import load_attribute
from medvid_image_masks import tissue
from medvid_image_masks.config import GlaSOptions, ImageMasksOptions, MoNuSegOptions, TissueOptions
from medvid_image_masks.data import GlaS, ImageMasks, MoNuSeg
from medvid_image_masks.plugin import medvid_components
from medvid_image_masks.tissue import generate_glands, generate_nuclei

TINY = TissueOptions(train=3, validation=1, test=2, size=(40, 48))
BINS = 16


def nothing(done: int, total: int) -> None: ...


def test_the_specs_resolve() -> None:
    specs = {spec.name: spec for spec in medvid_components()}
    assert list(specs) == ["image_masks", "glas", "monuseg"]
    for spec, target in zip(specs.values(), (ImageMasks, GlaS, MoNuSeg), strict=True):
        assert load_attribute(spec.target) is target
        assert load_attribute(spec.config)(root="x").input_info().axes == spec.axes
        assert load_attribute(spec.demo_config) is TissueOptions
    assert load_attribute(specs["glas"].demo) is generate_glands
    assert load_attribute(specs["monuseg"].demo) is generate_nuclei


def test_the_published_recipes_are_the_defaults() -> None:
    glas, monuseg = GlaSOptions(root="x"), MoNuSegOptions(root="x")
    assert (glas.size, monuseg.size) == ((128, 128), (512, 512))
    assert (glas.mask_threshold, glas.channels) == (127, 3)
    assert glas.augment == (HorizontalFlipOptions(probability=0.5),)
    assert (glas.labels[1], monuseg.labels[1]) == ("gland", "nucleus")


def test_the_archive_of_glas_is_used_as_it_is_unpacked(tmp_path: Path) -> None:
    instances = np.zeros((20, 30), np.uint8)
    instances[3:8, 4:9], instances[10:14, 20:28] = 1, 2
    for name in ("train_1", "train_2", "testA_1", "testB_1"):
        noise = np.random.default_rng(list(name.encode())).integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.bmp")
        Image.fromarray(instances).save(tmp_path / f"{name}_anno.bmp")
    data = GlaS(GlaSOptions(root=tmp_path, size=(20, 30)))
    assert data.cases("train") == ("train_1", "train_2")
    assert data.cases("test") == ("testA_1", "testB_1")
    data.prepare([*data.cases("train"), *data.cases("test")], nothing)
    np.testing.assert_array_equal(data.open_case("testA_1").native_truth(), instances > 0)


@pytest.mark.parametrize(
    ("dataset", "options", "generate"),
    [(GlaS, GlaSOptions, generate_glands), (MoNuSeg, MoNuSegOptions, generate_nuclei)],
)
def test_the_demo_is_laid_out_as_medts_data(tmp_path: Path, dataset, options, generate) -> None:
    generate(tmp_path / "demo", TINY)
    data = dataset(options(root=tmp_path / "demo", size=(32, 32)))
    assert [len(data.cases(split)) for split in ("train", "validation", "test")] == [3, 1, 2]
    data.prepare([*data.cases("train"), *data.cases("test")], nothing)
    files = [f"train/{kind}/0001.png" for kind in ("img", "labelcol")]
    picture, mask = (np.asarray(Image.open(tmp_path / "demo" / file)) for file in files)
    assert picture.shape == (40, 48, 3)
    assert set(np.unique(mask)) == {0, 255}
    generate(tmp_path / "again", TINY)
    assert all((tmp_path / "again" / file).read_bytes() == (tmp_path / "demo" / file).read_bytes() for file in files)


def best_colour_dice(pictures: list[np.ndarray], masks: list[np.ndarray]) -> float:
    """Mean Dice that no labelling of pixels by their colour alone can exceed by much.

    The colours are chosen on the very pictures that are scored: in the order of their share of foreground, as many as
    give the highest Dice.
    """
    codes = [picture.astype(int) * BINS // 256 @ (BINS * BINS, BINS, 1) for picture in pictures]
    counts = np.stack(
        [
            [np.bincount(code[mask == label], minlength=BINS**3) for label in (False, True)]
            for code, mask in zip(codes, masks, strict=True)
        ]
    )  # (pictures, background and foreground, colours)
    total = counts.sum(axis=0)
    counts = counts[..., np.argsort(-total[1] / np.maximum(total.sum(axis=0), 1))]
    hits, chosen = counts[:, 1].cumsum(axis=1), counts.sum(axis=1).cumsum(axis=1)
    return float((2 * hits / (chosen + counts[:, 1].sum(axis=1, keepdims=True))).mean(axis=0).max())


@pytest.mark.parametrize(("paint", "bound"), [(tissue.glands, 0.5), (tissue.nuclei, 0.58)])
def test_colour_alone_cannot_find_the_foreground(paint, bound) -> None:
    """A small U-Net that was trained for a minute reaches 0.9 on the glands and 0.87 on the nuclei."""
    pictures, masks = zip(*(paint(np.random.default_rng(i), TissueOptions().size) for i in range(12)), strict=True)
    assert 0.12 < np.mean(masks) < 0.4
    assert best_colour_dice(pictures, masks) < bound


def test_pictures_differ_and_each_has_something_to_find() -> None:
    for paint in (tissue.glands, tissue.nuclei):
        masks = [paint(np.random.default_rng(i), (64, 80))[1] for i in range(10)]
        assert min(mask.mean() for mask in masks) > 0.03
        assert len({mask.tobytes() for mask in masks}) == 10


def test_a_users_own_masks_may_hold_several_labels() -> None:
    options = ImageMasksOptions(root="x", mask_values="indexed", labels=("background", "a", "b"))
    assert options.target_info().names == ("background", "a", "b")
