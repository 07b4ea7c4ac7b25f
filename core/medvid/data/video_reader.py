"""Reading frames of a video by their time, whatever decodes it; every failure is one exception that names the file.

Open a reader where it is used, in the loader's own process, and close it again: none survives a fork or can be pickled.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from medvid.config.videos import ReaderName
from medvid.data.video_faults import find_fault
from medvid.data.video_sampling import Length
from medvid.errors import ConfigError, DataError

_MEANINGS = {
    "(?i)video stream": "it has no video stream",
    "duplicate frames": "some of its frames are damaged",
    "^Error reading|^\\[Errno .*Invalid data|Could not open input file": "it is no video, or damaged",
}
"""What decoders' messages mean, by a pattern."""


class VideoReadError(DataError):
    """A video cannot be read.

    Args:
        path: its file.
        reason: what is wrong with it.
        backend: what tried to decode it; empty if nothing had to.
        hint: what to do next.
    """

    def __init__(self, path: Path | str, reason: str, backend: str = "", hint: str = "") -> None:
        by = f" (with {backend})" if backend else ""
        super().__init__(f"{path} cannot be read: {reason}{by}", hint=hint)
        self.path, self.reason, self.backend = Path(path), reason, backend

    def __reduce__(self) -> tuple[type["VideoReadError"], tuple[Path, str, str, str]]:
        """Cross from loader processes unchanged."""
        return VideoReadError, (self.path, self.reason, self.backend, self.hint)


class VideoReader(ABC):
    """An open video.

    Frames are turned as the file's rotation says, with all backends; one thread decodes.

    Args:
        path: its file.

    Raises:
        VideoReadError: it is no video, or has no frames.
    """

    backend: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._as_one_error():
            self.length = self._open()

    def frames_at(self, times: Sequence[float]) -> np.ndarray:
        """The frames that are shown at these times, (N, H, W, 3) uint8, red, green and blue.

        A frame is shown until the next one is due; times before the first or after the last mean that one.

        Args:
            times: in seconds from the beginning of the first frame, in any order.

        Raises:
            VideoReadError: they cannot be decoded.
        """
        with self._as_one_error():
            # Containers round times, WebM to milliseconds: a frame that is due a moment later is meant.
            tolerance = min(0.001, 0.25 / self.length.fps)
            return self._read(np.maximum(np.asarray(times, dtype=np.float64), 0) + tolerance)

    @abstractmethod
    def close(self) -> None:
        """Free what the decoder holds."""

    @abstractmethod
    def _open(self) -> Length: ...

    @abstractmethod
    def _read(self, times: np.ndarray) -> np.ndarray:
        """The frames whose own times are the last up to each of `times`."""

    @contextmanager
    def _as_one_error(self) -> Iterator[None]:
        """Decoders raise all kinds of exceptions, ValueError and IndexError among them."""
        try:
            yield
        except (DataError, MemoryError):
            raise
        except Exception as error:
            raise VideoReadError(self.path, _reason(error), self.backend) from error


@contextmanager
def open_video(path: Path | str, backend: ReaderName = "auto", hint: str = "") -> Iterator[VideoReader]:
    """Open a video for reading.

    Args:
        path: its file.
        backend: what decodes it, see `medvid.config.videos.VideoDatasetOptions.reader`.
        hint: what to do if it cannot be read, which depends on where the file is from.

    Raises:
        VideoReadError: it is no video, or cut off.
        ConfigError: the backend is not installed.
    """
    path = Path(path)
    try:
        if fault := find_fault(path):
            raise VideoReadError(path, fault)
        with closing(find_backend(backend)(path)) as reader:
            yield reader
    except VideoReadError as error:
        error.hint = error.hint or hint
        raise


@cache
def find_backend(name: ReaderName) -> Callable[[Path], VideoReader]:
    """The class of a backend; for ``"auto"`` the first that works here of torchcodec, decord and av.

    Raises:
        ConfigError: it is not installed, or lacks its libraries.
    """
    from medvid.data.video_backends import BACKENDS

    failures = []
    for candidate in BACKENDS if name == "auto" else (name,):
        try:
            return BACKENDS[candidate]()
        except (ImportError, OSError, RuntimeError) as error:  # as torchcodec without FFmpeg
            failures.append(f"{candidate}: {str(error).strip().splitlines()[0]}")
    raise ConfigError(
        f"dataset.reader is {name}, which cannot be used here: {'; '.join(failures)}",
        hint="install it, or let one be chosen: --set dataset.reader=auto",
    )


def _reason(error: Exception) -> str:
    """The first line of what a decoder says, without places in its source and file names; or what it means by that."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    for pattern, meaning in _MEANINGS.items():
        if re.search(pattern, text):
            return meaning
    return re.sub(r"^\[[\d:]+\] \S+: (Check failed: )?|^\[Errno \d+\] |: '.*'$", "", text)
