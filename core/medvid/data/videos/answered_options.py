"""Options of videos with a class, labels or numbers each, named by a table."""

from pathlib import Path
from typing import ClassVar

from medvid.data.tables.columns import PATHS, VIDEOS
from medvid.data.tables.folders import TABLE
from medvid.data.tables.options import AnsweredOptions
from medvid.data.videos.clip_options import ClipOptions
from medvid.data.videos.index import SUFFIXES


class AnsweredVideoOptions(AnsweredOptions, ClipOptions):
    """Base of the options of data sets of videos whose answers stand in a CSV file with a line per video.

    Paths may lack the ending of the file.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    usual_paths: ClassVar[tuple[str, ...]] = (*PATHS, *VIDEOS)

    @property
    def table_path(self) -> Path:
        """The table."""
        return self.root / (self.table or TABLE)
