"""Options that every data set of labelled videos has."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from medvid.config.numbers import PositiveFraction, check_range
from medvid.config.options import DatasetOptions, Options
from medvid.data.transforms.options import HorizontalFlipOptions, VideoTransform
from medvid.data.videos.index import VideoIndex, find_class_names, find_clips_in_folders
from medvid.data.videos.labels import find_labels, first_id, label_key, read_labels
from medvid.data.videos.lists import ListFormat, find_lists, read_lists
from medvid.data.videos.sampling import Sampling, SamplingKind, ShortPolicy
from medvid.errors import DataError
from medvid.plugin.info import InputInfo, TargetInfo

ReaderName = Literal["auto", "av", "decord"]
Color = tuple[float, float, float]
PositiveColor = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class ResizedCropOptions(Options):
    """A crop of the frames, resized to the input's size (Szegedy et al., CVPR 2015), as in MViT's training."""

    area: tuple[PositiveFraction, PositiveFraction] = (0.08, 1.0)
    """Range of the crop's share of the frame's area."""
    aspect: tuple[PositiveFloat, PositiveFloat] = (3 / 4, 4 / 3)
    """Range of its width divided by its height."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("area", self.area)
        check_range("aspect", self.aspect)
        return self


class PictureOptions(DatasetOptions):
    """Base of the options of data sets of videos: how decoded frames become the input of a model."""

    size: PositiveInt = 224
    """Height and width of clips in pixels."""
    test_short_side: PositiveInt | None = None
    """Length to which the shorter side is resized outside training, before one or three squares of `size` are cut out;
    default, as in PySlowFast: `size` for three, the lower end of `short_side` for one."""
    antialias: bool = True
    """Average over pixels when frames are shrunk; the published code does not, which matters for large frames."""
    mean: Color = (0.45, 0.45, 0.45)
    """Subtracted from red, green and blue in [0, 1]. 0.5 with a `std` of 0.5 gives [-1, 1], as in ViViT; 0 and 1 keep
    [0, 1], as in STAM."""
    std: PositiveColor = (0.225, 0.225, 0.225)
    """Divisor of red, green and blue after that."""
    short_side: tuple[PositiveInt, PositiveInt] | None = None
    """Range of the length in pixels to which the frames' shorter side is resized in training, before a random square of
    `size` is cut out; default: 8/7 to 10/7 of `size`, which is 256 to 320 at 224. ViViT's factors 0.9 to 1.33 of 256
    pixels are [230, 340]."""
    resized_crop: ResizedCropOptions | None = None
    """Instead of `short_side`: a crop of random area and aspect ratio; `{}` for MViT's."""
    augment: tuple[VideoTransform, ...] = (HorizontalFlipOptions(),)
    """Random changes of training clips, in this order, the same for all frames; the default is TimeSformer's."""
    reader: ReaderName = "auto"
    """Decoder of the files. auto and av: PyAV, with every frame compared with the times of the file's packets. decord:
    decord for files in which it is known to return the right frames, PyAV for the others."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        check_range("short_side", self.short_side)
        if self.short_side is not None and self.resized_crop is not None:
            raise ValueError("short_side and resized_crop cannot be combined: leave one of them out")
        if self.short_side_range[0] < self.size:
            raise ValueError(f"short_side {list(self.short_side_range)} is smaller than size {self.size}")
        if self.test_short_side is not None and self.test_short_side < self.size:
            raise ValueError(f"test_short_side {self.test_short_side} is smaller than size {self.size}")
        return self

    @property
    def short_side_range(self) -> tuple[int, int]:
        """Range of the shorter side in training, if `resized_crop` is not used."""
        return self.short_side or (round(self.size * 8 / 7), round(self.size * 10 / 7))


class VideoDatasetOptions(PictureOptions):
    """Base of the options of data sets of labelled videos.

    "16x4" in the names of published models is `frames: 16, rate: 4`: a clip of 16 frames, every fourth of a video at
    `target_fps`. Frames are chosen by time, so videos can have any frame rate, even a varying one. Frames are used as a
    player shows them: turned and mirrored as the file says, and stretched to square pixels if these are more than 2 %
    off (DVDs, DV, broadcasts). If frames have no times, as in AVI, they are counted at the file's rate.
    """

    frames: PositiveInt = 16
    """Frames per clip."""
    rate: PositiveFloat = 4
    """Distance between neighbouring frames, in frames of a video at `target_fps`."""
    target_fps: PositiveFloat = 30
    """The frame rate that `rate` refers to."""
    stretch: bool = False
    """Spread the frames evenly over frames * rate, as in the code of TimeSformer and VTN: with 8x32 they are then 36.4
    apart, not 32."""
    sampling: SamplingKind = "clip"
    """clip: neighbouring frames, `rate` apart. segments: one frame from each of `frames` equal parts of the whole
    video, in training a random one, otherwise the middle one, as for Something-Something."""
    test_frames: PositiveInt | None = None
    """Frames per clip outside training, for backbones that take any number; default: as in training."""
    test_rate: PositiveFloat | None = None
    """Likewise, `rate`."""
    test_sampling: SamplingKind | None = None
    """`sampling` outside training. VTN looks at whole videos: `test_sampling: segments, test_frames: 250`."""
    short: ShortPolicy = "pad"
    """How to handle a video shorter than a clip: pad repeats its last frame, as published; loop starts it again; error
    refuses it."""
    rate_jitter: tuple[PositiveFloat, PositiveFloat] | None = None
    """Range of a factor on the span of a training clip, drawn uniformly on a logarithmic scale: [0.8, 1.25] shows
    actions up to a quarter slower or faster."""
    repeats: PositiveInt = 1
    """Examples per clip that is read, each with its own crop and changes (repeated augmentation, Hoffer et al., CVPR
    2020): a batch has `batch_size` times as many. 2 for MViT on Kinetics."""
    classes: tuple[str, ...] | None = None
    """Names of the classes by id; default: from the data set's folders, lists or annotations."""
    missing: Literal["error", "drop"] = "error"
    """How to handle missing or empty files of the lists: stop, or leave them out and say how many; figures are then not
    for the whole data set."""

    verify_content: bool = False
    """Before a run, hash all files and compare them with the record of `platform data check`. Otherwise only files
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
    def _rates_fit(self) -> "VideoDatasetOptions":
        check_range("rate_jitter", self.rate_jitter)
        if self.sampling == "segments" and self.rate_jitter is not None:
            raise ValueError("rate_jitter changes the span of a clip, but sampling: segments spans the video")
        return self

    def train_sampling(self) -> Sampling:
        """The sampling of training clips."""
        return Sampling(self.frames, self.rate, self.target_fps, self.sampling, self.stretch, self.short)

    def test_sampling_of_clips(self) -> Sampling:
        """The sampling of clips outside training."""
        return Sampling(
            self.test_frames or self.frames,
            self.test_rate or self.rate,
            self.target_fps,
            self.test_sampling or self.sampling,
            self.stretch,
            self.short,
        )

    def label_names(self) -> tuple[str, ...]:
        """Name of each class by its id. Can read small index files."""
        raise NotImplementedError

    def index(self) -> VideoIndex:
        """All clips of the data set, with their labels.

        Raises:
            DataError: all problems of its lists or folders.
        """
        raise NotImplementedError

    def input_info(self) -> InputInfo:
        """Clips as the model gets them in training, see `DatasetOptions.input_info`."""
        return InputInfo(axes="video", channels=3, size=(self.frames, self.size, self.size))

    def test_input_info(self) -> InputInfo:
        """Clips as the model gets them in evaluation."""
        return replace(self.input_info(), size=(self.test_frames or self.frames, self.size, self.size))

    def examples_per_case(self) -> int:
        """Repeated augmentation, see `DatasetOptions.examples_per_case`."""
        return self.repeats

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
    labels: Path | None = None
    """File with the names of the classes, relative to `root`: JSON (a list, or names and ids), CSV (id and name) or
    text (one name per line). If its ids start at 1, as in UCF101's classInd.txt, the labels of the lists do too.
    Default for lists: kinetics_400_labels.csv, labels.txt, classes.txt, label_map.txt or the like, else "class 12";
    folders are named after classes, whose alphabetical order gives the ids."""

    named_lists: ClassVar[bool] = False
    """Whether lists can hold names of classes instead of ids."""

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
        # The file decides the first id of lists, even if its names are known by now.
        first = first_id(path) if path and path.exists() else 0
        return read_lists(self.root, files, ListFormat(prefix, self.separator, self.named_lists, first), names)

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
