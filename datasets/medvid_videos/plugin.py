"""A user's own videos."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    yield DatasetSpec(
        name="videos",
        target="medvid_videos.data:Videos",
        config="medvid_videos.config:VideosOptions",
        recognises="medvid_videos.config:recognise",
        axes="video",
        where="case",
        what=("class",),
        summary="Your own videos: one folder per class, or lists of paths and labels",
        examples=(Example({"frames": 4, "rate": 2, "size": 32}),),
    )
