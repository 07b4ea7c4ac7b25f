"""Options of a user's own videos."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import NonNegativeInt

from medvid.config.numbers import FractionBelowOne
from medvid.data.tables.folders import TABLE, holds
from medvid.data.videos.answered_options import AnsweredVideoOptions
from medvid.data.videos.index import ENCODED, find_class_names
from medvid.data.videos.lists import find_lists
from medvid.data.videos.options import ListedVideoOptions
from medvid.errors import DataError


class VideosOptions(ListedVideoOptions):
    """A user's own videos, with one label each, or with `multilabel` several.

    In one folder per class, with or without folders train and val (or validation) and test around these; or in lists
    with ids or names as labels: train.csv, val.csv and test.csv, or a single list named by `lists: {all: ...}`.

    If no validation clips are given, a share of each class's training clips is held out. Clips of one patient or one
    recording can then be on both sides: if there are such clips, choose the held-out clips in lists or folders.
    """

    name: Literal["videos"] = "videos"
    validation_fraction: FractionBelowOne = 0.2
    """Share of each class to hold out, at least one of its clips, if no validation clips are given; 0: none."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which clips these are."""
    named_lists: ClassVar[bool] = True


class VideoTableOptions(AnsweredVideoOptions):
    """A user's own videos with a class, any of several labels, or numbers each: a CSV file with a line per video.

    Columns mean what they do for images and volumes; see docs/data.md.
    """

    name: Literal["video_table"] = "video_table"


_BEGINNING = 10_000


def recognise(folder: Path) -> dict[str, Any] | None:
    """The options for a folder with folders of videos by class, or with lists of videos; pictures could be anything."""
    if recognise_table(folder) is not None:
        return None
    try:
        lists = find_lists(folder).values()
        if any(suffix in path.read_text("utf-8", "replace")[:_BEGINNING] for path in lists for suffix in ENCODED):
            return {}
        find_class_names(folder)
    except DataError:
        return None
    return {} if holds(folder, ENCODED) else None


def recognise_table(folder: Path) -> dict[str, Any] | None:
    """The options for a folder with a table of videos."""
    return {} if (folder / TABLE).is_file() and holds(folder, ENCODED) else None
