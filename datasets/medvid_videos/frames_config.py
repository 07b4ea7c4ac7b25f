"""Options of a user's own videos that are annotated frame by frame."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from medvid.config.options import Options
from medvid.data.listing import by_name, check_folder
from medvid.data.tables.columns import Table
from medvid.data.tables.lists import Read, read_classes, read_findings, read_values
from medvid.data.tables.options import Value, scaled
from medvid.data.videos.frames.annotation import Annotation, annotate, read_rows
from medvid.data.videos.frames.index import AnnotatedVideo, FramedIndex, patients_in
from medvid.data.videos.frames.options import FramedVideoOptions
from medvid.data.videos.index import find_videos
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import What
from medvid.sentences import listed
from medvid_videos.frames_lists import class_column, find_annotations, names_in, read_list, read_mapping, rows_by_video


class VideoListsOptions(Options):
    """Text files with the name of a video in each line, relative to `root`, such as ms-tcn's splits/*.bundle."""

    train: str
    validation: str | None = None
    test: str | None = None


class LabelledFramesOptions(FramedVideoOptions):
    """A user's own videos, annotated frame by frame.

    Videos lie anywhere in `root` and are called by their names without folder and ending, folders of frames by their
    own. Their annotations are CSV, TSV or text files with a column of numbers of frames or of times, and one of
    classes, several of labels (0 or 1) or of numbers; or text files with the name of a class in each line. There is one
    for each video, or one for all.
    """

    name: Literal["labelled_frames"] = "labelled_frames"
    annotations: str | None = None
    """Where the annotation of a video is, relative to `root`: "phases/{video}-phase.txt". Default: the file called like
    the video that ends in .csv, .tsv or .txt."""
    table: str | None = None
    """Instead: one file for all videos, relative to `root`, with a column of videos."""
    video_column: str | None = None
    """Its column of videos; default: video or the like."""
    frame_column: str | None = None
    """Column of the numbers of frames; default: frame or the like."""
    time_column: str | None = None
    """Column of times, in seconds or hours:minutes:seconds from the first frame, instead of numbers; default: time or
    the like, where no numbers are found."""
    class_column: str | None = None
    """Predict the class in this column; default, if no other answers are asked for: phase, step, action, class or
    label. An empty cell is unknown."""
    label_columns: tuple[str, ...] = ()
    """Predict the labels in these columns, each on its own: 1 or 0; an empty cell is unknown."""
    value_columns: dict[str, Value] = Field(default_factory=dict)
    """Predict the numbers in these columns, each with its unit: {pressure: mmHg}."""
    classes: tuple[str, ...] | None = None
    """Names of the classes by id; default: mapping.txt in `root` (a line `0 name` each), else as annotations name them:
    by the alphabet or, of numbers, by size."""
    lists: VideoListsOptions | None = None
    """The videos of each split; default: `split`, else `validation_fraction`."""
    patient_pattern: str | None = None
    """A regular expression that finds the patient in the name of a video, as its first group: '^(p[0-9]+)_'. None of
    them is on both sides of a split; default: each video is a patient of its own."""

    @field_validator("annotations")
    @classmethod
    def _names_the_video(cls, pattern: str | None) -> str | None:
        if pattern is not None and "{video}" not in pattern:
            raise ValueError("annotations has to hold {video}, in whose place the name of a video is put")
        return pattern

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for names in (("annotations", "table"), ("class_column", "label_columns", "value_columns")):
            if len(given := [name for name in names if getattr(self, name)]) > 1:
                raise ValueError(f"{' and '.join(given)} are set: keep one of them")
        if self.lists and self.split:
            raise ValueError("lists and split both say which videos are held out: leave one of them out")
        return self

    @property
    def what(self) -> What:
        """What is predicted."""
        return "labels" if self.label_columns else "value" if self.value_columns else "class"

    def target_info(self) -> TargetInfo:
        """The answers, see `DatasetOptions.target_info`."""
        values = self.value_columns.values()
        if (self.what == "class" and not self.classes) or any(None in (one.mean, one.deviation) for one in values):
            return self.filled().target_info()
        return TargetInfo(
            "frame",
            self.what,
            self.label_columns or tuple(self.value_columns) or self.classes or (),
            tuple(one.unit for one in values),
            has_unknown=True,
            means=tuple(one.mean for one in values if one.mean is not None),
            deviations=tuple(one.deviation for one in values if one.deviation is not None),
        )

    def filled(self) -> Self:
        """With the classes, and the scale of the values, see `DatasetOptions.filled`."""
        if self.what == "class":
            return self.model_copy(update={"classes": self._classes(self._annotated())})
        index = self.index()
        trained = index.splits.get("train", index.labelled)
        answers = [one for name in trained for one in self.annotation(index.videos[name]).answers]
        scales = {}
        for number, (name, value) in enumerate(self.value_columns.items()):
            known = [one[number] for one in answers if isinstance(one, tuple) and not math.isnan(one[number])]
            scales[name] = scaled(value, known)
        return self.model_copy(update={"value_columns": scales})

    def index(self) -> FramedIndex:
        """The videos below `root`, see `FramedVideoOptions.index`."""
        videos = self._annotated()
        if not (annotated := [video for video in videos.values() if video.annotation]):
            raise DataError(
                f"none of the {len(videos)} videos in {self.root} has an annotation",
                hint="say where they are: dataset.annotations: 'phases/{video}.txt', or dataset.table",
            )
        bare = [name for name, video in videos.items() if not video.annotation]
        notes = [f"{len(bare)} videos have no annotation and are left out: {listed(bare)}"] if bare else []
        if self.what == "class" and self.classes is None and not read_mapping(self.root):
            order = ", ".join(self._classes(videos))
            notes.append(f"{len(annotated)} annotations name the classes {order}; for another order: dataset.classes")
        lists = {split: read_list(self.root / name, videos) for split, name in self.lists or () if name}
        return FramedIndex(videos, lists, patients_in([*videos], self.patient_pattern), tuple(notes))

    def annotation(self, video: AnnotatedVideo) -> Annotation:
        """Read the rows of a video, see `FramedVideoOptions.annotation`."""
        if video.annotation is None:
            raise DataError(f"{video.path} has no annotation")
        table = self._rows(self._videos())[video.id] if self.table else read_rows(video.annotation)
        return annotate(table, self.frame_column, self.time_column, self._read(table))

    def _videos(self) -> dict[str, Path]:
        check_folder(self.root)
        found = [Path(clip.path) for clip in find_videos([self.root]).values()]
        named = ((path.name if path.is_dir() else path.stem, path) for path in found)
        return by_name(named, "videos", "rename one of them")

    def _rows(self, videos: Mapping[str, Path]) -> Mapping[str, Table]:
        return rows_by_video(self.root / (self.table or ""), self.video_column, videos)

    def _annotated(self) -> dict[str, AnnotatedVideo]:
        videos = self._videos()
        if self.table:
            found = dict.fromkeys(self._rows(videos), self.root / self.table)
        else:
            found = find_annotations(self.root, videos, self.annotations)
        return {name: AnnotatedVideo(name, path, found.get(name)) for name, path in videos.items()}

    def _classes(self, videos: Mapping[str, AnnotatedVideo]) -> tuple[str, ...]:
        if self.classes is not None:
            return self.classes
        mapping = read_mapping(self.root)
        files = [video.annotation for video in videos.values() if video.annotation]
        return tuple(mapping.values()) if mapping else names_in(files, self.class_column)

    def _read(self, table: Table) -> Read:
        """How rows say an answer."""
        if self.value_columns:
            return read_values(_spelled(table, [*self.value_columns], "value_columns"))
        if self.label_columns:
            columns = _spelled(table, self.label_columns, "label_columns")
            return read_findings(columns, lambda _: "ignore", "ignore")
        names = self.classes or self._classes(self._annotated())
        numbers = {key: names.index(name) for key, name in read_mapping(self.root).items() if name in names}
        ids = {**numbers, **{name: number for number, name in enumerate(names)}}
        return read_classes(class_column(table, self.class_column), ids)


def _spelled(table: Table, names: Sequence[str], option: str) -> list[str]:
    return [found for name in names if (found := table.find(name, (), option))]
