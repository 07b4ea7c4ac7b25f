"""Options of how clips are read from videos, whatever they are annotated with."""

from dataclasses import replace
from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import PositiveFraction, check_range
from medvid.config.options import DatasetOptions, Options
from medvid.data.transforms.options import HorizontalFlipOptions, VideoTransform
from medvid.data.videos.frame_files import FrameFileOptions
from medvid.data.videos.sampling import Sampling, SamplingKind, ShortPolicy
from medvid.plugin.info import InputInfo

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
    default, as in PySlowFast: `size` for three, and where frames stay `whole`, else the lower end of `short_side`."""
    whole: bool = False
    """Scale whole frames to squares, whatever their shape, rather than cut squares out of them. In training
    `short_side` is then both of their sides, of which [size, size] leaves nothing to cut."""
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
    margin: NonNegativeInt = 0
    """Pixels of the mean colour that are put around a training clip of `short_side`, before the square is cut out."""
    resized_crop: ResizedCropOptions | None = None
    """Instead of `short_side`: a crop of random area and aspect ratio; `{}` for MViT's."""
    augment: tuple[VideoTransform, ...] = (HorizontalFlipOptions(),)
    """Random changes of training clips, in this order, the same for all frames; the default is TimeSformer's."""
    reader: ReaderName = "auto"
    """Decoder of the files. auto and av: PyAV, with every frame compared with the times of the file's packets. decord:
    decord for files in which it is known to return the right frames, PyAV for the others."""
    frame_files: FrameFileOptions = FrameFileOptions()
    """How folders of frames are read as videos, and the rate of what does not say it."""
    verify_content: bool = False
    """Before a run, hash all files and compare them with the record of `platform data check`. Otherwise only files
    whose size or time changed since then are hashed."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        check_range("short_side", self.short_side)
        if self.short_side is not None and self.resized_crop is not None:
            raise ValueError("short_side and resized_crop cannot be combined: leave one of them out")
        if self.margin and self.resized_crop is not None:
            raise ValueError("margin and resized_crop cannot be combined: leave one of them out")
        if self.short_side_range[0] < self.size:
            raise ValueError(f"short_side {list(self.short_side_range)} is smaller than size {self.size}")
        if self.test_short_side is not None and self.test_short_side < self.size:
            raise ValueError(f"test_short_side {self.test_short_side} is smaller than size {self.size}")
        return self

    @property
    def short_side_range(self) -> tuple[int, int]:
        """Range of the shorter side in training, if `resized_crop` is not used."""
        return self.short_side or (round(self.size * 8 / 7), round(self.size * 10 / 7))

    @property
    def blank_colour(self) -> tuple[int, int, int]:
        """Red, green and blue of the mean, 0 to 255."""
        red, green, blue = (min(max(round(255 * value), 0), 255) for value in self.mean)
        return red, green, blue


class ClipOptions(PictureOptions):
    """Base of the options of data sets whose models see clips of videos.

    "16x4" in the names of published models is `frames: 16, rate: 4`: a clip of 16 frames, every fourth of a video at
    `target_fps`. Frames are chosen by time, so videos can have any frame rate, even a varying one. Frames are used as a
    player shows them: turned and mirrored as the file says, and stretched to square pixels if these are more than 2 %
    off (DVDs, DV, broadcasts). If frames have no times, as in AVI, they are counted at the file's rate.
    """

    frames: PositiveInt = 16
    """Frames per clip."""
    rate: PositiveFloat = 4
    """Distance between neighbouring frames, in frames of a video at `target_fps`."""
    target_fps: PositiveFloat | Literal["file"] = 30.0
    """The frame rate that `rate` refers to. file: that of each file, so `rate: 2` is every second of its frames."""
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
    """How to handle a video shorter than a clip: pad repeats its last frame, as published; loop starts it again;
    blank fills the clip with the mean colour, which is 0 once it is normalised (to half a level of 255); error refuses
    it."""
    rate_jitter: tuple[PositiveFloat, PositiveFloat] | None = None
    """Range of a factor on the span of a training clip, drawn uniformly on a logarithmic scale: [0.8, 1.25] shows
    actions up to a quarter slower or faster."""
    repeats: PositiveInt = 1
    """Examples per clip that is read, each with its own crop and changes (repeated augmentation, Hoffer et al., CVPR
    2020): a batch has `batch_size` times as many. 2 for MViT on Kinetics."""

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        check_range("rate_jitter", self.rate_jitter)
        if self.sampling == "segments" and self.rate_jitter is not None:
            raise ValueError("rate_jitter changes the span of a clip, but sampling: segments spans the video")
        return self

    def train_sampling(self) -> Sampling:
        """The sampling of training clips."""
        return Sampling(self.frames, self.rate, self._fps, self.sampling, self.stretch, self.short)

    def test_sampling_of_clips(self) -> Sampling:
        """The sampling of clips outside training."""
        return Sampling(
            self.test_frames or self.frames,
            self.test_rate or self.rate,
            self._fps,
            self.test_sampling or self.sampling,
            self.stretch,
            self.short,
        )

    @property
    def _fps(self) -> float | None:
        return None if self.target_fps == "file" else self.target_fps

    def input_info(self) -> InputInfo:
        """Clips as the model gets them in training, see `DatasetOptions.input_info`."""
        return InputInfo(axes="video", channels=3, size=(self.frames, self.size, self.size))

    def test_input_info(self) -> InputInfo:
        """Clips as the model gets them in evaluation."""
        return replace(self.input_info(), size=(self.test_frames or self.frames, self.size, self.size))

    def examples_per_case(self) -> int:
        """Repeated augmentation, see `DatasetOptions.examples_per_case`."""
        return self.repeats
