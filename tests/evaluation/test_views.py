import numpy as np
import pytest

from medvid.data.grid import Grid
from medvid.evaluation.views import View, choose_slices, display_window, make_view


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_axial_slices_are_radiological_whatever_the_file_has(sign):
    # The body on RAS axes: left-right, posterior-anterior, feet-head; a mark in the right, anterior, upper corner.
    body = np.zeros((6, 8, 5), np.uint8)
    body[5, 7, 4] = 1
    # The file holds the axes in the order (S, R, A), along (+) or against (-) them.
    native = body.transpose(2, 0, 1)[(slice(None, None, int(sign)),) * 3]
    offset = tuple(0.0 if sign > 0 else length - 1.0 for length in body.shape)
    grid = Grid(native.shape, (3.0, 0.7, 0.9), body.shape, (0.7, 0.9, 3.0), (1, 2, 0), (sign,) * 3, offset)
    view = make_view("a", grid, "volume", image=native, prediction=native)
    assert view.radiological
    assert view.prediction.shape == (1, 8, 6)
    assert view.prediction[0, 0, 0] == 1  # top: anterior; left: the patient's right
    assert view.slices == (4 if sign > 0 else 0,)
    assert view.pixel == (0.9, 0.7)


def test_images_are_shown_as_they_are():
    image = np.arange(12.0).reshape(3, 4)
    grid = Grid((3, 4), (1.0, 2.0), (3, 4), (1.0, 2.0), (0, 1), (1.0, 1.0), (0.0, 0.0))
    view = make_view("a", grid, "image", image=image, prediction=(image > 5).astype(np.uint8))
    np.testing.assert_array_equal(view.image, image[None])
    assert (view.slices, view.pixel, view.radiological) == ((), (1.0, 2.0), False)


def test_colours_are_kept_and_span_their_range():
    image = np.random.default_rng(0).integers(0, 200, (6, 8, 3), np.uint8)
    image[0, 0] = 200
    grid = Grid((6, 8), (1.0, 1.0), (6, 8), (1.0, 1.0), (0, 1), (1.0, 1.0), (0.0, 0.0))
    view = make_view("a", grid, "image", image=image, prediction=np.ones((6, 8), np.uint8))
    assert view.colour
    np.testing.assert_array_equal(view.image, image[None])
    assert view.window == (0.0, 200.0)


def test_a_stack_of_images_is_shown_as_it_is_stored():
    stack = np.arange(5 * 3 * 4).reshape(5, 3, 4)  # slices, rows, columns
    labels = (stack // 12 == 3).astype(np.uint8)
    ones = (1.0, 1.0, 1.0)
    grid = Grid((5, 3, 4), ones, (3, 4, 5), ones, (1, 2, 0), ones, (0.0, 0.0, 0.0))
    view = make_view("a", grid, "image", image=stack, prediction=labels)
    assert (view.slices, view.radiological) == ((3,), False)
    np.testing.assert_array_equal(view.image, stack[3:4])


def test_large_images_are_thinned_out():
    image = np.zeros((2100, 1500), np.uint8)
    grid = Grid(image.shape, (1.0, 1.0), image.shape, (1.0, 1.0), (0, 1), (1.0, 1.0), (0.0, 0.0))
    view = make_view("a", grid, "image", image=image, prediction=image)
    assert view.image.shape == view.prediction.shape == (1, 700, 500)


def test_chosen_slices_show_every_label_at_its_largest():
    labels = np.zeros((40, 10, 10), np.uint8)
    labels[2:20, :3] = 1
    labels[10, :8, :3] = 1  # largest here
    labels[8:14, 8:] = 2
    labels[30:33, 4:6, 4:6] = 3
    chosen = choose_slices(labels)
    assert 10 in chosen
    assert {1, 2, 3} <= set(np.unique(labels[chosen]).tolist())
    assert chosen == sorted(chosen)


def test_without_labels_the_middle_slice_is_shown():
    assert choose_slices(np.zeros((9, 4, 4), np.uint8)) == [4]


def test_gray_scale_spans_the_foreground_whatever_surrounds_it():
    image = np.full((1, 40, 40), -1000.0)
    image[0, 8:32, 8:32] = -90
    image[0, 15:25, 15:25] = np.linspace(40, 140, 100).reshape(10, 10)
    image[0, 0, 0] = image[0, 10, 10] = np.nan
    low, high = display_window(image, image > 0)
    assert -200 < low < -90 < 140 < high < 250
    flat = display_window(np.full((1, 4, 4), 7.0), np.zeros((1, 4, 4), bool))
    assert flat == (6.5, 7.5)


def test_a_view_survives_its_file(tmp_path):
    view = View(
        case="img0035",
        image=np.ones((1, 2, 3), np.float32),
        prediction=np.ones((1, 2, 3), np.uint8),
        truth=None,
        slices=(7,),
        pixel=(0.8, 0.9),
        radiological=True,
        window=(-100.0, 200.0),
        dice=(float("nan"), 0.25, 0.75),
    )
    view.save(tmp_path / "view.npz")
    loaded = View.load(tmp_path / "view.npz")
    assert loaded.truth is None
    assert (loaded.case, loaded.slices, loaded.pixel, loaded.window) == ("img0035", (7,), (0.8, 0.9), (-100.0, 200.0))
    assert loaded.dice[1:] == (0.25, 0.75)
    assert View.load_mean_dice(tmp_path / "view.npz") == 0.5
    np.testing.assert_array_equal(loaded.image, view.image)
