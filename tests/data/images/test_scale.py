"""The scale of training and what becomes of other images."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.images.scale import TOLERANCE, TrainingSizes

SIDES = st.integers(8, 2000)
SIZES = st.tuples(SIDES, SIDES)


@given(st.lists(SIZES, min_size=1, max_size=6))
def test_training_images_are_covered_and_kept_as_json(sizes):
    trained = TrainingSizes.of(sizes)
    assert all(trained.cover(size) for size in sizes)
    assert all(trained.prepared(size, (128, 160)) == (128, 160) for size in sizes)
    assert TrainingSizes.from_json(json.loads(json.dumps(trained.to_json()))) == trained


@given(seen=SIZES, size=SIZES, resized=SIZES)
def test_another_image_has_the_scale_of_training_or_about_that(seen, size, resized):
    prepared = TrainingSizes.of([seen, seen]).prepared(size, resized)
    for length, was, to, now in zip(size, seen, resized, prepared, strict=True):
        scale = to / was
        assert (
            scale / TOLERANCE - 0.5 / length
            <= now / length
            <= scale * TOLERANCE + max(0.5, 1 - length * scale) / length
        )


@pytest.mark.parametrize(
    ("sizes", "mixed"),
    [
        ([(522, 775)], False),
        ([(100, 100), (120, 110)], False),
        ([(433, 567), (522, 775)], True),
        ([(9, 9), (9, 90)], True),
    ],
)
def test_sizes_are_mixed_where_scales_would_differ(sizes, mixed):
    trained = TrainingSizes.of(sizes)
    assert trained.mixed is mixed
    other = trained.prepared((5000, 3000), (128, 128))
    assert (other == (128, 128)) is mixed
