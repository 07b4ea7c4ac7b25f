"""A user's own videos."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data sets."""
    yield DatasetSpec(
        name="videos",
        target="medvid_videos.data:Videos",
        config="medvid_videos.config:VideosOptions",
        recognises="medvid_videos.config:recognise",
        axes="video",
        where="case",
        what=("class", "labels"),
        summary="Your own videos: one folder per class, or lists of paths and labels",
        examples=(Example({"frames": 4, "rate": 2, "size": 32}),),
    )
    yield DatasetSpec(
        name="video_table",
        target="medvid_videos.data:VideoTable",
        config="medvid_videos.config:VideoTableOptions",
        recognises="medvid_videos.config:recognise_table",
        axes="video",
        where="case",
        what=("class", "labels", "value"),
        summary="Your own videos with a class, several labels or numbers each, named by a CSV file",
        examples=(Example({"frames": 4, "rate": 2, "size": 32}),),
    )
    yield DatasetSpec(
        name="labelled_frames",
        target="medvid_videos.frames_data:LabelledFrames",
        config="medvid_videos.frames_config:LabelledFramesOptions",
        axes="video",
        where="frame",
        what=("class", "labels", "value"),
        summary="Your own videos, with a phase, labels or numbers on each frame, in a file per video or in one for all",
        examples=(
            Example(
                {"frames": 4, "size": 32, "annotations": "phase_annotations/{video}-phase.txt", "annotation_fps": 25}
            ),
        ),
    )
