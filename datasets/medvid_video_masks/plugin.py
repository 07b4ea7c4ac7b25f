"""A user's own segmented videos."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl

_NOT_READ = "predictions are label maps, which are not read as videos"


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    small = {"train": 3, "validation": 2, "length": 9, "annotated": 2, "size": [24, 32]}
    yield DatasetSpec(
        name="video_masks",
        target="medvid_video_masks.data:VideoMasks",
        config="medvid_video_masks.config:VideoMasksOptions",
        axes="video",
        where="voxel",
        what=("class",),
        demo="medvid_video_masks.drops:generate",
        demo_config="medvid_video_masks.config:DropsOptions",
        summary="Your own videos, of which some frames have a mask: PNG and the like, or NIfTI (frame, row, column)",
        examples=(
            Example({"frames": 4, "size": [16, 16]}, generate=small),
            Example({"frames": 4, "size": [24, 32], "crop": [16, 16]}, generate=small),
        ),
        exceptions={"geometry": _NOT_READ},
    )
