"""What stands in the pictures, and where they are coloured."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from medvid.data.grid import Grid
from medvid.evaluation.figures import ERRORS, draw, find_errors, gray_scale
from medvid.evaluation.pictures import make_picture

SHAPE = (20, 16, 12)
GRID = Grid(SHAPE, (1.0, 1.0, 2.0), SHAPE, (1.0, 1.0, 2.0), (0, 1, 2), (1.0,) * 3, (0.0,) * 3)


@pytest.mark.parametrize(
    ("window", "text"),
    [
        ((-1190.0, 250.0), "-1190 to 250"),
        ((-175.0, 250.0), "-175 to 250"),
        ((-1289.4, 30541.2), "-1289 to 30541"),
        ((0.0, 1.0), "0.00 to 1.00"),
        ((0.00012, 0.00345), "0.00012 to 0.00345"),
        ((-0.4, 140.0), "0 to 140"),
        ((5.0, 5.0), "5 to 5"),
    ],
)
def test_gray_scale_is_written_in_plain_figures(window, text) -> None:
    assert gray_scale(window) == text


def colours_of(path: Path) -> set[str]:
    """Which of the colours of errors a picture has, where they lie on white."""
    picture = matplotlib.image.imread(path)[..., :3]
    shown = {name: 0.8 * np.array(to_rgb(colour)) + 0.2 for name, colour in ERRORS.items()}
    return {name for name, colour in shown.items() if (np.abs(picture - colour).max(axis=2) < 0.02).sum() > 50}


def test_errors_are_marked_by_kind(tmp_path: Path, texts: list[str]) -> None:
    shape, ones = SHAPE[:2], (1.0, 1.0)
    grid = Grid(shape, ones, shape, ones, (0, 1), ones, (0.0, 0.0))
    truth = np.zeros(shape, np.uint8)
    truth[2:14, 3:12] = 1
    for kinds in (set(), {"missed", "another label"}, {"false"}):
        prediction = truth.copy()
        if "missed" in kinds:
            prediction[2:6] = 0
        if "false" in kinds:
            prediction[15:19, 3:12] = 1
        if "another label" in kinds:
            prediction[7:10][truth[7:10] == 1] = 2
        texts.clear()
        view = make_picture(
            "a", grid, "image", image=truth * 0 + 1, prediction=prediction, truth=truth, window=(0.0, 1.0)
        )
        assert colours_of(draw(view, ("background", "one", "two"), tmp_path / "a.png")) == kinds
        assert kinds <= set(texts)
        assert ("no errors" in texts) == (not kinds)
        np.testing.assert_array_equal(np.any(find_errors(view.planes[0]), axis=0), truth != prediction)


def test_the_title_says_why_a_case_is_shown(tmp_path: Path, texts: list[str]) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:9, 4:9, 4:9] = 1
    view = make_picture(
        "img0035", GRID, "volume", image=labels * -1190.0, prediction=labels, truth=labels, dice=(np.nan, 0.5)
    )
    draw(view, ("background", "liver"), tmp_path / "a.png", "the lowest of 12 cases")
    assert "img0035: mean Dice 0.500 (the lowest of 12 cases)" in texts
    assert "liver  0.50" in texts
    assert {"R", "L", "A", "P", "S", "I", "truth", "prediction", "errors", "coronal 8", "sagittal 8"} <= set(texts)
    assert not any("e+0" in text for text in texts)


def test_letters_can_be_read_on_white(tmp_path: Path) -> None:
    """Each has a black outline: a white picture without labels has black pixels inside."""
    view = make_picture("a", GRID, "volume", image=np.ones(SHAPE), prediction=np.zeros(SHAPE, np.uint8), window=(0, 1))
    assert all(plane.marks for plane in view.planes)
    outlined = matplotlib.image.imread(draw(view, ("background",), tmp_path / "a.png"))[..., :3]
    bare = make_picture("a", GRID, "image", image=np.ones(SHAPE), prediction=np.zeros(SHAPE, np.uint8), window=(0, 1))
    plain = matplotlib.image.imread(draw(bare, ("background",), tmp_path / "b.png"))[..., :3]
    black = [int((picture.max(axis=2) < 0.1).sum()) for picture in (outlined, plain)]
    assert black[0] > black[1] + 500


def test_an_image_is_drawn_side_by_side(tmp_path: Path) -> None:
    shape, ones = (30, 20), (1.0, 1.0)
    grid = Grid(shape, ones, shape, ones, (0, 1), ones, (0.0, 0.0))
    labels = np.zeros(shape, np.uint8)
    labels[5:9, 5:9] = 1
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    view = make_picture("a", grid, "image", image=image, prediction=labels, truth=labels)
    height, width = matplotlib.image.imread(draw(view, ("background", "one"), tmp_path / "a.png")).shape[:2]
    assert width > height
