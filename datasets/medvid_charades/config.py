"""Options of Charades, and of the generated videos that are its demo data."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import check_range
from medvid.config.options import Options
from medvid.data.tables.index import AnsweredCase, AnswerIndex
from medvid.data.videos.answered_options import AnsweredVideoOptions
from medvid.data.videos.frame_files import FrameFileOptions
from medvid.data.videos.labels import read_labels
from medvid.errors import DataError
from medvid.plugin.specs import What
from medvid.sentences import listed
from medvid_charades.annotations import AnnotatedVideo, read_annotations
from medvid_charades.frame_lists import read_frame_list

FOLDERS = ("Charades_v1_480", "Charades_v1", "Charades_v1_rgb")
"""What the archives of videos, and of their frames, unpack to."""
CLASSES = "Charades_v1_classes.txt"

Lists = Mapping[str, Mapping[str, AnnotatedVideo]]
"""The videos of the lists train and test, by their names."""


class CharadesOptions(AnsweredVideoOptions):
    """Charades (Sigurdsson et al., ECCV 2016) as it unpacks: 9848 videos of daily life with any of 157 actions each.

    `root` has Charades_v1_train.csv, Charades_v1_test.csv, Charades_v1_classes.txt, and the videos in one of
    Charades_v1_480, Charades_v1 and (frames) Charades_v1_rgb. The videos of the test list are those that papers
    validate and test on, so they are the validation split, unless `validation_fraction` holds out others.
    """

    name: Literal["charades"] = "charades"
    lists: Literal["annotations", "frames"] = "annotations"
    """annotations: the tables above. frames: train.csv and val.csv with a line per frame, as PySlowFast reads them."""
    table: str | None = None
    """The table or list of the training videos, if it has another name."""
    test_table: str | None = None
    """Likewise, of the test videos."""
    videos: str | None = None
    """Folder of the videos in `root`; default: the first of the above that there is."""
    labels: str | None = None
    """File with the names of the actions; default: Charades_v1_classes.txt; of lists of frames class 0, class 1 ...
    where there is none."""
    list_fps: PositiveFloat = 24
    """Frames per second that lists of frames count; those that Charades offers are at 24."""
    clip_labels: Literal["span", "video"] = "span"
    """What a training clip is annotated with: the actions that take place from its first to its last frame, as
    PySlowFast trains, or those of the whole video. Videos that are evaluated have those of the whole video."""
    target_fps: PositiveFloat | Literal["file"] = 24.0
    frame_files: FrameFileOptions = FrameFileOptions(rate=24)
    """As elsewhere; the frames of Charades_v1_rgb are at 24 per second."""
    validation_fraction: float = 0.0
    """Share of the people in the training list to hold out; the test list is then the split test."""
    has_unknown: bool | None = False
    """No: an action is listed, or did not take place."""

    @property
    def what(self) -> What:
        """Labels."""
        return "labels"

    def annotated(self) -> tuple[Lists, tuple[str, ...]]:
        """The videos of both lists, and the names of the actions.

        Raises:
            DataError: all that is wrong with a list.
        """
        names = self._names()
        if self.lists == "frames":
            count = len(names) if names else None
            files = {"train": self.table or "train.csv", "test": self.test_table or "val.csv"}
            found = {split: read_frame_list(self.root / file, self.list_fps, count) for split, file in files.items()}
            return found, names or _numbered(found)
        if names is None:
            raise DataError(f"there is no {CLASSES} in {self.root}", hint="set dataset.labels")
        files = {"train": self.table or "Charades_v1_train.csv", "test": self.test_table or "Charades_v1_test.csv"}
        return {split: read_annotations(self.root / file, len(names)) for split, file in files.items()}, names

    def index(self, is_case: Callable[[Path], bool]) -> AnswerIndex:  # noqa: ARG002 (the lists name them)
        """All videos of both lists, see `AnsweredOptions.index`."""
        lists, names = self.annotated()
        if twice := [name for name in lists["test"] if name in lists["train"]]:
            raise DataError(f"{len(twice)} videos are in both lists: {listed(twice)}", hint="take them out of one")
        both = _subjects(lists["train"]) & _subjects(lists["test"])
        folder, absent, cases = self._folder(), [], {}
        for name, video in (pair for videos in lists.values() for pair in videos.items()):
            paths = (folder / name, *(folder / f"{name}{suffix}" for suffix in self.suffixes))
            path = next((path for path in paths if path.exists()), None)
            if path is None:
                absent.append(name)
                continue
            answer = several_hot(video.labels(), len(names))
            cases[name] = AnsweredCase(name, path, answer, "" if video.subject in both else video.subject)
        if absent:
            hint = "complete the copy, or take them out of the lists"
            raise DataError(f"{len(absent)} videos of the lists are not in {folder}: {listed(absent)}", hint=hint)
        held_out = "test" if self.validation_fraction else "validation"
        notes = [f"people who are in both lists: {listed(sorted(both))}"] if both else []
        splits = {"train": tuple(lists["train"]), held_out: tuple(lists["test"])}
        return AnswerIndex(cases, splits, names, tuple(notes))

    def _names(self) -> tuple[str, ...] | None:
        if self.classes:
            return self.classes
        path = self.root / (self.labels or CLASSES)
        names = read_labels(path) if self.labels or path.exists() else None
        for number, name in enumerate(names or ()):
            if self.lists == "annotations" and not name.startswith(f"c{number:03d}"):
                raise DataError(f"{path}: its line {number + 1} is not of c{number:03d}: {name}", hint="sort it")
        return names

    def _folder(self) -> Path:
        if self.videos:
            return self.root / self.videos
        return next((self.root / name for name in FOLDERS if (self.root / name).is_dir()), self.root)


def several_hot(labels: set[int], count: int) -> tuple[float, ...]:
    """1 for each of these labels, 0 for the others."""
    return tuple(float(number in labels) for number in range(count))


def _subjects(videos: Mapping[str, AnnotatedVideo]) -> set[str]:
    return {video.subject for video in videos.values() if video.subject}


def _numbered(lists: Lists) -> tuple[str, ...]:
    """Names of labels that no file names."""
    labels = {label for videos in lists.values() for video in videos.values() for label in video.labels()}
    return tuple(f"class {number}" for number in range(max(labels, default=-1) + 1))


class ScenesOptions(Options):
    """Generated videos in Charades' layout: objects move left, right, up or down, each at its own time."""

    train: PositiveInt = 960
    """Training videos."""
    test: PositiveInt = 80
    """Test videos."""
    size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] = (40, 56)
    """Range of the height and of the width in pixels; even sizes are drawn."""
    seconds: tuple[PositiveFloat, PositiveFloat] = (2.4, 3.2)
    """Range of the length."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Of the videos in which an action takes place, each action on its own."""
    seed: int = 0

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        check_range("size", self.size)
        check_range("seconds", self.seconds)
        return self
