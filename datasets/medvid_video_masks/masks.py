"""The masks of a video: images named after frames, or one NIfTI file."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from medvid.config.options import FormatOptions
from medvid.data.images.masks import read_mask
from medvid.data.videos.masked.video import FrameMasks
from medvid.data.volumes.formats.format import UnusableError
from medvid.data.volumes.formats.nifti import Nifti
from medvid.digests import digest_of, digest_of_rows
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.sentences import listed
from medvid_video_masks.config import FRAME, VideoMasksOptions


class PictureMasks(FrameMasks):
    """Images in a folder, each named after the number of its frame.

    Args:
        video: its name.
        folder: the folder.
        files: the images.
        options: say how they are named and read.

    Raises:
        DataError: a name has no number, or several, or two are of one frame.
    """

    hint = "correct the numbers in the names of the masks; dataset.first_frame says what the first frame is called"

    def __init__(self, video: str, folder: Path, files: Sequence[Path], options: VideoMasksOptions) -> None:
        self._video, self._folder, self._options = video, folder, options
        numbered = sorted((_number(file, options), file) for file in files)
        self.by_number = {number - options.first_frame: file for number, file in numbered}
        if len(self.by_number) < len(files):
            twice = [file.name for number, file in numbered if self.by_number[number - options.first_frame] != file]
            raise DataError(
                f"{folder} has two masks of one frame: {listed(twice)} and another of the same number",
                hint="keep one mask for each frame",
            )

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.by_number.values())

    @property
    def source(self) -> str:
        return str(self._folder)

    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        return dict.fromkeys(self.by_number, ())

    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:
        path = self.by_number[number]
        labels = read_mask(path, self._video, self._options).labels
        check_size(self._video, f"mask {path}", labels.shape, size)
        return labels

    def digest(self) -> str:
        return digest_of_rows((number, digest_of(path.read_bytes())) for number, path in self.by_number.items())


class VolumeMasks(FrameMasks):
    """The frames of a NIfTI file with the axes frame, row, column.

    Args:
        video: its name.
        path: the file.
        options: say what its values are.
    """

    hint = "the first axis of the file has to have one place for each frame of the video"

    def __init__(self, video: str, path: Path, options: VideoMasksOptions) -> None:
        self._video, self._path, self._options = video, path, options

    @property
    def files(self) -> tuple[Path, ...]:
        return (self._path,)

    @property
    def source(self) -> str:
        return str(self._path)

    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        known = (self._labels != UNKNOWN).any(axis=(1, 2))
        return dict.fromkeys(np.flatnonzero(known).tolist(), ())

    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:
        labels = self._labels[number]
        check_size(self._video, f"{self._path}, with the axes frame, row, column,", labels.shape, size)
        return labels

    def digest(self) -> str:
        return digest_of(self._path.read_bytes())

    @cached_property
    def _labels(self) -> np.ndarray:
        """Label ids (T, H, W), int16 with `UNKNOWN` where values may be ignored."""
        name, options = f"case {self._video}: {self._path}", self._options
        try:
            values = Nifti(FormatOptions(name="nifti")).read(self._path).data
        except UnusableError as error:
            raise DataError(f"{name} {error}", hint=error.hint) from error
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error}", hint="restore the file") from error
        if values.ndim != 3:
            raise DataError(f"{name} has the shape {values.shape}, not three axes: frame, row and column")
        if options.mask_values == "colours":
            raise DataError(f"{name} has no colours", hint="set dataset.mask_values: binary, nonzero or indexed")
        ignored = values == options.ignore if options.ignore is not None else np.zeros(values.shape, bool)
        if options.mask_values == "indexed":
            ids, count = np.unique(values[~ignored]), len(options.labels)
            if strange := [f"{value:g}" for value in ids.tolist() if value not in range(count)]:
                raise DataError(
                    f"{name} has the values {listed(strange)}; the data set declares the labels 0..{count - 1}",
                    hint="name all dataset.labels, or set dataset.ignore to the value of what nobody annotated",
                )
            labels = values
        else:
            labels = values != 0
        return np.where(ignored, np.int16(UNKNOWN), labels.astype(np.int16))


def check_size(video: str, what: str, found: Sequence[int], size: tuple[int, int]) -> None:
    """Refuse a mask that does not have the size of its frame.

    Raises:
        DataError: naming both sizes.
    """
    if tuple(found) != size:
        raise DataError(
            f"case {video}: {what} has {found[1]} x {found[0]} pixels, the frames of the video {size[1]} x {size[0]}",
            hint="a mask needs the size of the frames, as a player shows them",
        )


def _number(file: Path, options: VideoMasksOptions) -> int:
    """The number of a frame in the name of its mask, as it stands there."""
    if options.mask_name is None:
        numbers = re.findall(r"\d+", file.stem)
        if len(numbers) != 1:
            raise DataError(
                f"the name of the mask {file} has {len(numbers) or 'no'} numbers; one, that of its frame, is expected",
                hint=f"say how masks are named: dataset.mask_name, such as 'mask_{FRAME}'",
            )
        return int(numbers[0])
    pattern = re.escape(options.mask_name).replace(re.escape(FRAME), r"(\d+)")
    found = re.fullmatch(pattern, file.stem)
    if found is None:
        raise DataError(
            f"the mask {file} is not named like dataset.mask_name, {options.mask_name!r}",
            hint="rename it, or move it elsewhere",
        )
    return int(found[1])
