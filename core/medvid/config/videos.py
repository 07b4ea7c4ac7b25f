"""Options that every data set of labelled videos has."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from medvid.config.options import DatasetOptions, Options
from medvid.config.video_augment import VideoAugmentOptions
from medvid.data.video_index import VideoIndex, find_class_names, find_clips_in_folders
from medvid.data.video_labels import find_labels, first_id, label_key, read_labels
from medvid.data.video_lists import ListFormat, find_lists, read_lists
from medvid.data.video_sampling import Sampling, SamplingKind, ShortPolicy
from medvid.errors import DataError
from medvid.plugin.info import InputInfo, TargetInfo

ReaderName = Literal["auto", "av", "decord"]
Color = tuple[float, float, float]
PositiveColor = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class VideoDatasetOptions(DatasetOptions):
    """Base of the options of data sets of labelled videos.

    "16x4" in the names of published models is `frames: 16, rate: 4`: a clip of 16 frames, every fourth of a video of
    `target_fps`. Frames are chosen by their time, so that videos may have any frame rate, also a varying one. They are
    seen as a player shows them: turned and mirrored as the file says, and where pixels are more than 2 % from square
    (DVDs, DV, broadcasts), stretched to square ones. Where frames have no times, as in AVI, they are counted at the
    file's rate.
    """

    frames: PositiveInt = 16
    """Frames of a clip."""
    rate: PositiveFloat = 4
    """Distance of neighbouring frames, in frames of a video of `target_fps`."""
    target_fps: PositiveFloat = 30
    """The frame rate that `rate` refers to."""
    stretch: bool = False
    """Spread the frames evenly over frames * rate, as the code of TimeSformer and VTN does: those of 8x32 then are 36.4
    apart, not 32."""
    sampling: SamplingKind = "clip"
    """clip: neighbouring frames, `rate` apart. segments: one frame of each of `frames` equal parts of the whole video,
    in training a random one, otherwise the middle one, as for Something-Something."""
    test_frames: PositiveInt | None = None
    """Frames of a clip outside of training, for backbones that take any number; default: as in training."""
    test_rate: PositiveFloat | None = None
    """Likewise, `rate`."""
    test_sampling: SamplingKind | None = None
    """Likewise, `sampling`. VTN looks at whole videos: `test_sampling: segments, test_frames: 250`."""
    short: ShortPolicy = "pad"
    """What becomes of a video that is shorter than a clip: pad repeats its last frame, as published; loop starts it
    again; error refuses it."""
    size: PositiveInt = 224
    """Height and width of clips in pixels."""
    test_short_side: PositiveInt | None = None
    """Length that the shorter side is resized to outside of training, before one or three squares of `size` are cut
    out; default, as in PySlowFast: `size` for three of them, for one the lower end of `augment.short_side`."""
    antialias: bool = True
    """Average over pixels where frames are shrunk; the published code does not, which matters for large frames."""
    mean: Color = (0.45, 0.45, 0.45)
    """What is subtracted of red, green and blue in [0, 1]. 0.5 with a `std` of 0.5 gives [-1, 1], as ViViT has it;
    0 and 1 leave [0, 1], as STAM has it."""
    std: PositiveColor = (0.225, 0.225, 0.225)
    """What they are divided by then."""
    augment: VideoAugmentOptions = VideoAugmentOptions()
    reader: ReaderName = "auto"
    """What decodes the files. auto and av: PyAV, whose every frame is compared with the times of the file's packets.
    decord: decord in those files in which it is known to give the right frames, PyAV in the others."""
    classes: tuple[str, ...] | None = None
    """Names of the classes by their ids; default: those of the data set's folders, lists or annotations."""
    missing: Literal["error", "drop"] = "error"
    """What to do if files of the lists are missing or empty: stop, or leave them out and say how many. Figures are
    then not those of the whole data set."""

    verify_content: bool = False
    """Before a run, hash all files and compare with what `platform data check` noted of them. Without it, only files
    whose size or time changed since then are hashed."""

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        first: dict[str, str] = {}
        for name in classes or ():
            other = first.setdefault(label_key(name), name)
            if other != name or (classes or ()).count(name) > 1:
                raise ValueError(f"{other!r} and {name!r} are the same class")
        return classes

    @model_validator(mode="after")
    def _sizes_fit(self) -> "VideoDatasetOptions":
        if self.short_side_range[0] < self.size:
            raise ValueError(f"augment.short_side {list(self.short_side_range)} is smaller than size {self.size}")
        if self.test_short_side is not None and self.test_short_side < self.size:
            raise ValueError(f"test_short_side {self.test_short_side} is smaller than size {self.size}")
        return self

    @model_validator(mode="after")
    def _rates_fit(self) -> "VideoDatasetOptions":
        if self.sampling == "segments" and self.augment.rate_jitter is not None:
            raise ValueError("augment.rate_jitter changes the span of a clip, but sampling: segments spans all videos")
        return self

    @property
    def short_side_range(self) -> tuple[int, int]:
        """Range of the shorter side in training, where no `augment.resized_crop` is used."""
        return self.augment.short_side or (round(self.size * 8 / 7), round(self.size * 10 / 7))

    def train_sampling(self) -> Sampling:
        """How the frames of training clips are chosen."""
        return Sampling(self.frames, self.rate, self.target_fps, self.sampling, self.stretch, self.short)

    def test_sampling_of_clips(self) -> Sampling:
        """How those of clips outside of training are."""
        return Sampling(
            self.test_frames or self.frames,
            self.test_rate or self.rate,
            self.target_fps,
            self.test_sampling or self.sampling,
            self.stretch,
            self.short,
        )

    def label_names(self) -> tuple[str, ...]:
        """Name of each class by its id. May read small index files."""
        raise NotImplementedError

    def index(self) -> VideoIndex:
        """All clips of the data set, with their labels.

        Raises:
            DataError: everything that is wrong with its lists or folders.
        """
        raise NotImplementedError

    def input_info(self) -> InputInfo:
        """Clips as the model gets them in training, see `DatasetOptions.input_info`."""
        return InputInfo(layout="video", channels=3, size=(self.frames, self.size, self.size))

    def test_input_info(self) -> InputInfo:
        """Clips as the model gets them in evaluation."""
        return replace(self.input_info(), size=(self.test_frames or self.frames, self.size, self.size))

    def target_info(self) -> TargetInfo:
        """One label per clip, see `DatasetOptions.target_info`."""
        return TargetInfo(task="classification", labels=self.classes or self.label_names())

    def filled(self) -> Self:
        """With the names of the classes, see `DatasetOptions.filled`."""
        return self.model_copy(update={"classes": self.target_info().labels})


class VideoListsOptions(Options):
    """Lists of clips, one `path label` per line; their paths are relative to `root`."""

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    all: str | None = None
    """Instead of these: one list, of which a share is held out where the data set does so."""

    @model_validator(mode="after")
    def _some(self) -> "VideoListsOptions":
        divided = self.train or self.validation or self.test
        if bool(divided) == bool(self.all):
            raise ValueError("name the lists train, validation and test that there are, or one list: all")
        return self


class ListedVideoOptions(VideoDatasetOptions):
    """Options of videos in one of two layouts, which is found out.

    - lists: train.csv, val.csv and test.csv as PySlowFast has them, or mmaction2's *_train_list_videos.txt ...: one
      `path label` per line. Paths may hold spaces.
    - folders: one folder of videos per class, in the folders train, val and test, or directly in `root`.
    """

    layout: Literal["auto", "lists", "folders"] = "auto"
    """How the folder is laid out; auto prefers lists."""
    lists: VideoListsOptions | None = None
    """The lists, if they have other names."""
    path_prefix: Path | None = None
    """Folder that the paths of the lists are relative to, itself relative to `root`; absolute paths are used as they
    are. Default: `root`, or its folder of the split (train, videos_train, ...), where more of the files are."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character between path and label in the lists; default: the last space, tab or comma of a line."""
    labels: Path | None = None
    """File with the names of the classes, relative to `root`: JSON (a list, or names and ids), CSV (id and name) or
    text (one name per line). Where its ids count from 1, as in UCF101's classInd.txt, the lists do. Default for
    lists: kinetics_400_labels.csv, labels.txt, classes.txt, label_map.txt or the
    like, else "class 12"; folders have names, whose alphabetical order gives the ids."""

    named_lists: ClassVar[bool] = False
    """Whether lists may hold names of classes instead of ids."""

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
        if not files:
            return find_clips_in_folders(self.root, names)
        prefix = self.root / self.path_prefix.expanduser() if self.path_prefix else None
        path = self._labels_file(guess=True)
        # Where lists count from is up to the file, also where its names are known by now.
        first = first_id(path) if path and path.exists() else 0
        return read_lists(self.root, files, ListFormat(prefix, self.separator, self.named_lists, first), names)

    def _list_files(self) -> dict[str, Path]:
        """The lists by their splits; none where the layout is folders."""
        if self.lists is not None:
            return {split: self.root / name for split, name in self.lists if name}
        if self.layout == "folders":
            return {}
        found = find_lists(self.root)
        if self.layout == "lists" and not found:
            raise DataError(f"there is no train.csv, val.csv or test.csv in {self.root}", hint="set dataset.lists")
        return found

    def _names_of_file(self, *, guess: bool) -> tuple[str, ...] | None:
        if self.classes is not None:
            return self.classes
        path = self._labels_file(guess=guess)
        return read_labels(path) if path else None

    def _labels_file(self, *, guess: bool) -> Path | None:
        return self.root / self.labels.expanduser() if self.labels else find_labels(self.root) if guess else None
