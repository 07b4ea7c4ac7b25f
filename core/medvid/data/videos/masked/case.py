"""A segmented video, decoded while it is used."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from medvid.data.batch import Pixels
from medvid.data.grid import Grid
from medvid.data.masked import MaskedVideo
from medvid.data.videos.decoders import open_video
from medvid.data.videos.masked.answers import write_frames, write_probability_volume, write_volume
from medvid.data.videos.masked.options import MaskedVideoOptions
from medvid.data.videos.masked.video import SegmentedVideo
from medvid.data.videos.video import Video
from medvid.errors import DataError


@dataclass(frozen=True, slots=True)
class Frames:
    """What a file says of its frames.

    Args:
        due: when each is shown, in seconds from the first one, (T,).
        size: height and width.
    """

    due: np.ndarray
    size: tuple[int, int]

    @property
    def interval(self) -> float:
        """Mean seconds between two frames; 1 of a single one."""
        return float(self.due[-1]) / (len(self.due) - 1) if len(self.due) > 1 and self.due[-1] > 0 else 1.0


class MaskedVideoFile(MaskedVideo):
    """A video file with label maps, see `medvid.data.masked.MaskedVideo`. It is opened each time frames are asked for.

    Args:
        video: its file and label maps.
        options: how frames are prepared, and answers written.
        hint: what to do if it cannot be read.
    """

    def __init__(self, video: SegmentedVideo, options: MaskedVideoOptions, hint: str = "") -> None:
        self.id, self.patient = video.id, video.patient
        self._video, self._options, self._hint = video, options, hint

    @property
    def sources(self) -> tuple[Path, ...]:
        return (self._video.path,)

    @cached_property
    def grid(self) -> Grid:
        """Maps pixels by area, as in torchvision."""
        count, (height, width) = len(self._frames.due), self._frames.size
        prepared = self._options.size
        scales = (1.0, prepared[0] / height, prepared[1] / width)
        return Grid(
            native_shape=(count, height, width),
            native_spacing=(self._frames.interval, 1.0, 1.0),
            prepared_shape=(count, *prepared),
            prepared_spacing=(self._frames.interval, 1 / scales[1], 1 / scales[2]),
            axes=(0, 1, 2),
            scale=scales,
            offset=(0.0, scales[1] / 2 - 0.5, scales[2] / 2 - 0.5),
        )

    @property
    def times(self) -> Sequence[float]:
        return [round(time, 6) for time in self._frames.due.tolist()]

    @cached_property
    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        found, count = self._video.masks.annotated(), len(self._frames.due)
        if beyond := [number for number in found if not 0 <= number < count]:
            raise DataError(
                f"case {self.id}: {self._video.masks.source} has a label map of frame {beyond[0]}, counted from 0, but "
                f"{self._video.path} has {count} frames, 0 to {count - 1}",
                hint=self._video.masks.hint,
            )
        return found

    def read(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        normalise = pixels(self._options).normalise
        for picture in self.pictures(numbers):
            yield normalise(resized([picture], self._options.size).transpose(0, 1)[None])[0, :, 0]

    def pictures(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        due = self._frames.due
        times = due[np.clip(np.asarray(numbers, dtype=np.int64), 0, len(due) - 1)]
        with self._open() as video:
            for picture in video.in_order(times.tolist()):
                if picture.shape[:2] != self._frames.size:
                    raise DataError(
                        f"case {self.id}: the frames of {self._video.path} have different sizes", hint="re-encode it"
                    )
                yield picture

    def frame_truth(self, number: int) -> np.ndarray:
        return self._video.masks.read(number, self._frames.size)

    def prepared_frame_truth(self, number: int) -> np.ndarray:
        truth = torch.from_numpy(self.frame_truth(number))[None]
        prepared: Tensor = functional.resize(truth, [*self._options.size], InterpolationMode.NEAREST_EXACT)
        return prepared[0].numpy()

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        names = self._options.label_names()
        if self._options.answers == "png":
            return write_frames(folder / self.id, labels, len(names))
        return (write_volume(folder / f"{self.id}.nii.gz", labels, self._frames.interval),)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        return (write_probability_volume(folder / f"{self.id}.nii.gz", probabilities, self._frames.interval),)

    def _open(self) -> AbstractContextManager[Video]:
        return open_video(self._video.path, self._hint, frame_files=self._options.frame_files)

    @cached_property
    def _frames(self) -> Frames:
        with self._open() as video:
            height, width = video.frames_at([0.0]).shape[1:3]
            return Frames(video.times.due, (height, width))


def resized(pictures: Sequence[np.ndarray], size: tuple[int, int]) -> Tensor:
    """Frames (T, H, W, 3) uint8 as (T, 3, *size) uint8."""
    clip = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    frames: Tensor = functional.resize(clip, [*size], antialias=True)
    return frames


def pixels(options: MaskedVideoOptions) -> Pixels:
    """How the bytes of an example become the input of a model."""
    return Pixels(torch.tensor(options.mean), torch.tensor(options.std), (None,))
