"""Videos whose frames are coded one by one, so that any of them can be decoded by itself; folders of pictures."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medvid.data.images.files import read_image, scale
from medvid.data.videos.frame_files import FrameFileOptions, frames_in, rate_of
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.times import even_times
from medvid.data.videos.video import Video
from medvid.errors import DataError


class Stills(Video):
    """An open video whose frames are coded one by one. Only frames that are asked for are decoded."""

    @abstractmethod
    def pictures(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Frames by their numbers, which increase: each (H, W, 3) uint8, red, green and blue.

        Raises:
            VideoReadError: one cannot be decoded.
        """

    def frames_at(self, times: Sequence[float]) -> np.ndarray:
        different, places = np.unique(self.times.numbers_at(self.within(times)), return_inverse=True)
        pictures = list(self._alike(different.tolist()))
        return np.stack([pictures[place] for place in places.tolist()])

    def in_order(self, times: Sequence[float]) -> Iterator[np.ndarray]:
        numbers = self.times.numbers_at(self.within(times)).tolist()
        pictures = self._alike(list(dict.fromkeys(numbers)))
        shown, picture = -1, np.empty(0)
        for number in numbers:
            if number != shown:
                shown, picture = number, next(pictures)
            yield picture

    def check_all(self) -> None:
        for _ in self._alike(range(len(self.times.shown))):
            pass

    def _alike(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """`pictures`, which have to be of the same size."""
        size: tuple[int, ...] | None = None
        for number, picture in zip(numbers, self.pictures(numbers), strict=True):
            if picture.shape != (size := size or picture.shape):
                one, other = (f"{shape[1]} x {shape[0]}" for shape in (size, picture.shape))
                reason = f"frame {number}, counted from 0, is {other}, but frame {numbers[0]} is {one}"
                raise VideoReadError(self.path, f"its frames have different sizes: {reason}")
            yield picture if picture.flags.writeable else picture.copy()  # torch shares memory with it


class FrameFolder(Stills):
    """A folder of numbered pictures, turned upright by their EXIF orientation. Gray ones become RGB.

    Args:
        path: the folder.
        options: which pictures they are, and how many a second has.
        part: place of the first frame among them, and number of frames, where a list says so.

    Raises:
        VideoReadError: the folder does not hold these frames.
        ConfigError: nothing says how many frames a second has.
    """

    def __init__(self, path: Path, options: FrameFileOptions, part: tuple[int, int] | None = None) -> None:
        self.path = path
        try:
            names, self._notes = frames_in(path, options)
        except OSError as error:
            raise VideoReadError(path, f"it cannot be read: {error.strerror}") from error
        except DataError as error:
            raise VideoReadError(path, str(error), error.hint) from error
        first, count = part or (0, len(names))
        if first + count > len(names):
            raise VideoReadError(
                path, f"its list says that it has frames up to the {first + count}th, but there are {len(names)}"
            )
        self._names = names[first : first + count]
        self.times = even_times(len(self._names), rate_of(path, options))

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def pictures(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        for number in numbers:
            yield self._picture(self.path / self._names[number])

    def _picture(self, file: Path) -> np.ndarray:
        try:
            array = read_image(file, self.path.name)
            if array.dtype != np.uint8:  # 16 bits: white is the largest number, as in images
                array = np.rint(scale(array, 1, None)[0] * 255).astype(np.uint8)
        except (DataError, ValueError) as error:
            reason = str(error).removeprefix(f"case {self.path.name}: {file} ")
            raise VideoReadError(self.path, f"{file.name} {reason}", getattr(error, "hint", "")) from error
        return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array
