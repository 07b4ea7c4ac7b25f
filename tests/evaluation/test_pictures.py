import numpy as np
import pytest

from medvid.data.grid import Grid
from medvid.evaluation.pictures import Picture, Plane, choose_slices, display_window, make_picture

BODY = (6, 8, 5)
"""Left-right, posterior-anterior, feet-head: RAS axes."""


def grid_of(shape, spacing=None, axes=None):
    ones = (1.0,) * len(shape)
    axes = axes or tuple(range(len(shape)))
    return Grid(shape, spacing or ones, shape, spacing or ones, axes, ones, (0.0,) * len(shape))


def view_of_body(body, sign):
    """The body in a file that holds the axes in the order (S, R, A), along (+) or against (-) them."""
    native = body.transpose(2, 0, 1)[(slice(None, None, int(sign)),) * 3]
    offset = tuple(0.0 if sign > 0 else length - 1.0 for length in body.shape)
    grid = Grid(native.shape, (3.0, 0.7, 0.9), body.shape, (0.7, 0.9, 3.0), (1, 2, 0), (sign,) * 3, offset)
    return make_picture("a", grid, "volume", image=native, prediction=native)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_slices_of_a_volume_are_radiological_whatever_the_file_has(sign):
    body = np.zeros(BODY, np.uint8)
    body[5, 7, 4] = 1  # in the right, anterior, upper corner
    axial, coronal, sagittal = view_of_body(body, sign).planes
    assert [plane.name for plane in (axial, coronal, sagittal)] == ["axial", "coronal", "sagittal"]
    assert [plane.prediction.shape for plane in (axial, coronal, sagittal)] == [(8, 6), (5, 6), (5, 8)]
    for plane in (axial, coronal, sagittal):  # at the top left: right and anterior, right and upper, anterior and upper
        assert plane.prediction[0, 0] == 1
        assert plane.prediction.sum() == 1
    numbers = (4, 7, 5) if sign > 0 else (0, 0, 0)
    assert (axial.index, coronal.index, sagittal.index) == numbers
    assert [plane.pixel for plane in (axial, coronal, sagittal)] == [(0.9, 0.7), (3.0, 0.7), (3.0, 0.9)]
    assert ["".join(plane.marks) for plane in (axial, coronal, sagittal)] == ["RLAP", "RLSI", "APSI"]


def test_coronal_and_sagittal_slices_go_through_the_largest_extent():
    body = np.zeros(BODY, np.uint8)
    body[1:5, 2, 1:4], body[3, 1:7, 1:4] = 1, 1
    *_, coronal, sagittal = view_of_body(body, 1.0).planes
    assert (coronal.index, sagittal.index) == (2, 3)


def test_images_are_shown_as_they_are():
    image = np.arange(12.0).reshape(3, 4)
    grid = grid_of((3, 4), (1.0, 2.0))
    [plane] = make_picture("a", grid, "image", image=image, prediction=(image > 5).astype(np.uint8)).planes
    np.testing.assert_array_equal(plane.image, image)
    assert (plane.index, plane.pixel, plane.marks) == (None, (1.0, 2.0), ())


def test_colours_are_kept_and_span_their_range():
    image = np.random.default_rng(0).integers(0, 200, (6, 8, 3), np.uint8)
    image[0, 0] = 200
    view = make_picture("a", grid_of((6, 8)), "image", image=image, prediction=np.ones((6, 8), np.uint8))
    assert view.colour
    np.testing.assert_array_equal(view.planes[0].image, image)
    assert view.window == (0.0, 200.0)


def test_a_stack_of_images_is_shown_as_it_is_stored():
    stack = np.arange(5 * 3 * 4).reshape(5, 3, 4)  # slices, rows, columns
    labels = (stack // 12 == 3).astype(np.uint8)
    ones = (1.0, 1.0, 1.0)
    grid = Grid((5, 3, 4), ones, (3, 4, 5), ones, (1, 2, 0), ones, (0.0, 0.0, 0.0))
    [plane] = make_picture("a", grid, "image", image=stack, prediction=labels).planes
    assert (plane.index, plane.marks) == (3, ())
    np.testing.assert_array_equal(plane.image, stack[3])


def test_large_images_are_thinned_out():
    image = np.zeros((2100, 1500), np.uint8)
    [plane] = make_picture("a", grid_of(image.shape), "image", image=image, prediction=image).planes
    assert plane.image.shape == plane.prediction.shape == (700, 500)


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


@pytest.mark.parametrize("seed", range(5))
def test_no_slice_is_chosen_twice(seed):
    labels = np.random.default_rng(seed).integers(0, 4, (9, 5, 5)).astype(np.uint8)
    chosen = choose_slices(labels)
    assert len(set(chosen)) == len(chosen)


def test_without_labels_the_middle_slice_is_shown():
    assert choose_slices(np.zeros((9, 4, 4), np.uint8)) == [4]


def plane_of(image, labels):
    return Plane(image, labels.astype(np.uint8), None, "axial", 0, (1.0, 1.0), ())


def test_gray_scale_spans_the_foreground_whatever_surrounds_it():
    image = np.full((40, 40), -1000.0)
    image[8:32, 8:32] = -90
    image[15:25, 15:25] = np.linspace(40, 140, 100).reshape(10, 10)
    image[0, 0] = image[10, 10] = np.nan
    low, high = display_window([plane_of(image, image > 0)])
    assert -200 < low < -90 < 140 <= high < 250
    flat = display_window([plane_of(np.full((4, 4), 7.0), np.zeros((4, 4), bool))])
    assert flat == (6.5, 7.5)


def test_gray_scale_does_not_exceed_the_values_that_there_are():
    image = np.random.default_rng(0).uniform(-1024, 3000, (20, 20))
    low, high = display_window([plane_of(image, np.zeros((20, 20)))])
    assert (low, high) == (image.min(), image.max())


def test_the_window_of_the_task_is_used():
    body = np.random.default_rng(0).integers(0, 3, BODY).astype(np.uint8)
    view = make_picture("a", grid_of(BODY), "volume", image=body, prediction=body, window=(-175.0, 250.0))
    assert view.window == (-175.0, 250.0)


@pytest.mark.parametrize("truth", [None, np.ones((2, 3), np.uint8)])
def test_a_view_survives_its_file(tmp_path, truth):
    planes = tuple(
        Plane(np.full((2, 3), value, np.float32), np.ones((2, 3), np.uint8), truth, name, index, (0.8, 0.9), marks)
        for value, name, index, marks in ((1, "axial", 7, ("R", "L", "A", "P")), (2, "", None, ()))
    )
    view = Picture("img0035", planes, window=(-100.0, 200.0), dice=(float("nan"), 0.25, 0.75))
    view.save(tmp_path / "view.npz")
    loaded = Picture.load(tmp_path / "view.npz")
    assert (loaded.case, loaded.window, loaded.dice[1:]) == ("img0035", (-100.0, 200.0), (0.25, 0.75))
    assert Picture.load_mean_dice(tmp_path / "view.npz") == 0.5
    for plane, expected in zip(loaded.planes, planes, strict=True):
        assert (plane.name, plane.index, plane.pixel) == (expected.name, expected.index, expected.pixel)
        assert plane.marks == expected.marks
        assert (plane.truth is None) == (truth is None)
        np.testing.assert_array_equal(plane.image, expected.image)
