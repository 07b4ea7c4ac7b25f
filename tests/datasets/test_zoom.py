from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy import ndimage

from medvid.data.grid import Grid
from medvid.evaluation.restore import NearestLabels
from medvid_btcv.zoom import zoom_grid, zoom_image, zoom_labels, zoom_slices

FIXTURE = load_file(Path(__file__).parents[1] / "evaluation" / "fixtures" / "med_metrics.safetensors")


def test_published_resampling_is_reproduced():
    resized = zoom_image(FIXTURE["zoom_in"], (14, 14))
    np.testing.assert_allclose(resized, FIXTURE["zoom_out_order3"], atol=1e-5)
    labels = FIXTURE["zoom_label_in"]
    np.testing.assert_array_equal(zoom_labels(labels, (20, 26)), FIXTURE["zoom_label_out_order0"])


@pytest.mark.parametrize(
    ("old", "new"), [((64, 50), (28, 28)), ((512, 512), (224, 224)), ((28, 31), (64, 40)), ((32, 32), (32, 32))]
)
def test_it_is_scipys_zoom(old, new):
    image = np.random.default_rng(0).random(old)
    factors = [n / o for n, o in zip(new, old, strict=True)]
    np.testing.assert_allclose(zoom_image(image, new), ndimage.zoom(image, factors, order=3), atol=1e-5)
    labels = np.random.default_rng(0).integers(0, 9, old)
    np.testing.assert_array_equal(zoom_labels(labels, new), ndimage.zoom(labels, factors, order=0))


def test_turning_and_resizing_can_be_swapped():
    image = np.random.default_rng(0).random((40, 40))
    turned = zoom_image(np.flip(np.rot90(image), 1), (16, 16))
    np.testing.assert_allclose(turned, np.flip(np.rot90(zoom_image(image, (16, 16))), 1), atol=1e-5)


def test_the_grid_leads_back_as_the_published_script_does():
    """Nearest neighbours over the grid are scipy's order 0, on a file whose axes lie another way."""
    shape, size = (7, 20, 26), (14, 14)
    stack = Grid(shape, (1.0,) * 3, (20, 26, 7), (1.0,) * 3, (1, 2, 0), (1.0,) * 3, (0.0,) * 3)
    small = np.random.default_rng(0).integers(0, 9, (*size, 7)).astype(np.uint8)
    nearest = NearestLabels(zoom_grid(stack, size), lambda slab: slab)
    for depth in np.split(small, [3], axis=2):
        nearest.add(torch.from_numpy(depth))
    expected = ndimage.zoom(small, (20 / 14, 26 / 14, 1), order=0)
    np.testing.assert_array_equal(nearest.labels(), expected.transpose(2, 0, 1))


def test_slices_are_resized_on_their_own():
    volume = np.random.default_rng(0).random((10, 12, 3))
    resized = zoom_slices(volume, (5, 6), zoom_image)
    assert resized.shape == (5, 6, 3)
    np.testing.assert_array_equal(resized[..., 1], zoom_image(volume[..., 1], (5, 6)))
