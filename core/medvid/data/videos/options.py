"""Options that every data set of labelled videos has."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from medvid.config.options import Options
from medvid.data.videos.clip_options import ClipOptions
from medvid.data.videos.index import VideoIndex, find_class_names, find_clips_in_folders
from medvid.data.videos.labels import find_labels, first_id, label_key, read_labels
from medvid.data.videos.lists import ListFormat, find_lists, read_lists
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo


class VideoDatasetOptions(ClipOptions):
    """Base of the options of data sets of videos with one label each; how clips are read is said by `ClipOptions`."""

    classes: tuple[str, ...] | None = None
    """Names of the classes by id; default: from the data set's folders, lists or annotations."""
    missing: Literal["error", "drop"] = "error"
    """How to handle missing or empty files of the lists: stop, or leave them out and say how many; figures are then not
    for the whole data set."""

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        first: dict[str, str] = {}
        for name in classes or ():
            other = first.setdefault(label_key(name), name)
            if other != name or (classes or ()).count(name) > 1:
                raise ValueError(f"{other!r} and {name!r} are the same class")
        return classes

    def label_names(self) -> tuple[str, ...]:
        """Name of each class by its id. Can read small index files."""
        raise NotImplementedError

    def index(self) -> VideoIndex:
        """All clips of the data set, with their labels.

        Raises:
            DataError: all problems of its lists or folders.
        """
        raise NotImplementedError

    def target_info(self) -> TargetInfo:
        """One label per clip, see `DatasetOptions.target_info`."""
        return TargetInfo("case", "class", self.classes or self.label_names())

    def filled(self) -> Self:
        """With the names of the classes, see `DatasetOptions.filled`."""
        return self.model_copy(update={"classes": self.target_info().names})


class VideoListsOptions(Options):
    """Lists of clips, one `path label` per line; their paths are relative to `root`."""

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    all: str | None = None
    """Instead of these: one list, of which a share is held out if the data set supports it."""

    @model_validator(mode="after")
    def _some(self) -> "VideoListsOptions":
        divided = self.train or self.validation or self.test
        if bool(divided) == bool(self.all):
            raise ValueError("name the existing lists of train, validation and test, or one list: all")
        return self


class ListedVideoOptions(VideoDatasetOptions):
    """Options of videos in one of two layouts, which is inferred.

    - lists: train.csv, val.csv and test.csv as in PySlowFast, or mmaction2's *_train_list_videos.txt ...: one
      `path label` per line. Paths can hold spaces.
    - folders: one folder of videos per class, in the folders train, val and test, or directly in `root`.
    """

    folder_layout: Literal["auto", "lists", "folders"] = "auto"
    """Form of the folder; auto prefers lists."""
    lists: VideoListsOptions | None = None
    """The lists, if they have other names."""
    path_prefix: Path | None = None
    """Folder to which the paths of the lists are relative, itself relative to `root`; absolute paths are used
    unchanged. Default: `root` or its split folder (train, videos_train, ...), whichever has more of the files."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character between path and label in the lists; default: the last space, tab or comma of a line."""
    multilabel: bool = False
    """Each line of the lists has any number of labels, as mmaction2's with `multi_class`: `path 3 7 12`; `path ""` has
    none of them. Each label is predicted on its own."""
    labels: Path | None = None
    """File with the names of the classes, relative to `root`: JSON (a list, or names and ids), CSV (id and name) or
    text (one name per line). If its ids start at 1, as in UCF101's classInd.txt, the labels of the lists do too.
    Default for lists: kinetics_400_labels.csv, labels.txt, classes.txt, label_map.txt or the like, else "class 12";
    folders are named after classes, whose alphabetical order gives the ids."""

    named_lists: ClassVar[bool] = False
    """Whether lists can hold names of classes instead of ids."""

    def target_info(self) -> TargetInfo:
        """One class, or any number of labels, per clip, see `DatasetOptions.target_info`."""
        return replace(super().target_info(), what="labels" if self.multilabel else "class")

    def label_names(self) -> tuple[str, ...]:
        """Names of the file `labels`, of the folders or of the lists."""
        files = self._list_files()
        names = self._names_of_file(guess=bool(files))
        if names is not None:
            return names
        return self.index().labels if files else find_class_names(self.root)

    def index(self) -> VideoIndex:
        """Read the lists or folders, see `VideoDatasetOptions.index`."""
        files = self._list_files()
        names = self._names_of_file(guess=bool(files))
        if not files and self.multilabel:
            raise DataError(
                f"multilabel is set, but there are no lists in {self.root}, and folders give clips one label each",
                hint="name the lists: dataset.lists; or use the data set video_table",
            )
        if not files:
            return find_clips_in_folders(self.root, names)
        prefix = self.root / self.path_prefix.expanduser() if self.path_prefix else None
        path = self._labels_file(guess=True)
        # The file decides the first id of lists, even if its names are known by now.
        first = first_id(path) if path and path.exists() else 0
        form = ListFormat(prefix, self.separator, self.named_lists, first, self.multilabel)
        return read_lists(self.root, files, form, names)

    def _list_files(self) -> dict[str, Path]:
        """The lists by split; empty if the layout is folders."""
        if self.lists is not None:
            return {split: self.root / name for split, name in self.lists if name}
        if self.folder_layout == "folders":
            return {}
        found = find_lists(self.root)
        if self.folder_layout == "lists" and not found:
            raise DataError(f"there is no train.csv, val.csv or test.csv in {self.root}", hint="set dataset.lists")
        return found

    def _names_of_file(self, *, guess: bool) -> tuple[str, ...] | None:
        if self.classes is not None:
            return self.classes
        path = self._labels_file(guess=guess)
        return read_labels(path) if path else None

    def _labels_file(self, *, guess: bool) -> Path | None:
        return self.root / self.labels.expanduser() if self.labels else find_labels(self.root) if guess else None
