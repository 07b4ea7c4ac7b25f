"""DICOM files of several frames as videos: ultrasound, angiography, endoscopy."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.videos.frame_files import FrameFileOptions
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.stills import Stills
from medvid.data.videos.times import given_times
from medvid.errors import ConfigError

_DIFFERENT = 0.05
"""Share by which two rates in one header may differ before that is said."""


class DicomVideo(Stills):
    """An open DICOM file of several frames. Only the frames that are asked for are decoded.

    Colours are red, green and blue, whatever they are stored as. Gray values are shown as the header's window says, or
    else from the lowest to the highest number that the stored bits hold; MONOCHROME1 is inverted.

    Args:
        path: the file.
        options: the rate of a file whose header says none.

    Raises:
        VideoReadError: it is damaged, has no pixels, or a single frame.
        ConfigError: pydicom is not installed; or nothing says when its frames are shown.
    """

    def __init__(self, path: Path, options: FrameFileOptions) -> None:
        self.path = path
        _import_pydicom(path)
        with self._as_one_error("it is damaged"):
            self._tags = _header(path)
            count = int(self._tags.get("NumberOfFrames") or 1)
            self._check(count)
            seconds, notes = seconds_of(self._tags.get, count)
        if seconds is None:
            if options.rate is None:
                raise ConfigError(
                    f"the header of {path} has neither FrameTime, FrameTimeVector nor CineRate above 0, and "
                    "dataset.frame_files.rate is not set",
                    hint="say how many frames a second has: --set dataset.frame_files.rate=30",
                )
            seconds = np.arange(count) / options.rate
            notes = (
                *notes,
                f"says no frame rate: dataset.frame_files.rate, {options.rate:g}, is used",
            )
        self.times = given_times(seconds, (count - 1) / float(seconds[-1]))
        self._low, self._high, of_gray = self._range()
        self._notes = (*notes, *of_gray)

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def pictures(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        from pydicom.pixels import iter_pixels

        stored = iter_pixels(str(self.path), indices=list(numbers))
        for _ in numbers:
            with self._as_one_error("its pixels cannot be decoded"):
                picture = self._picture(np.asarray(next(stored)))
            yield picture

    def _check(self, count: int) -> None:
        if not (self._tags.get("Rows") and self._tags.get("Columns")):
            uid = self._tags.get("SOPClassUID")
            kind = uid.name if uid else "DICOM of an unknown kind"
            raise VideoReadError(self.path, f"it has no pixels: it is {kind}")
        if count < 2:
            raise VideoReadError(
                self.path,
                "it has a single frame, so it is a picture and not a video",
                hint="where each frame of a video is a DICOM file, write them into one of several frames",
            )

    def _range(self) -> tuple[float, float, tuple[str, ...]]:
        """The numbers that are shown black and white, and what is assumed."""
        bits = int(self._tags.get("BitsStored") or 8)
        signed = bool(self._tags.get("PixelRepresentation"))
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        if self._is_coloured:
            return low, high, ()
        centre, width = (_first(self._tags.get(name)) for name in ("WindowCenter", "WindowWidth"))
        if centre is not None and width is not None and width > 1:  # PS3.3 C.11.2.1.2.1
            return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2, ()
        return low, high, (f"has {bits} bits and no window: {low} is black and {high} is white",) if bits > 8 else ()

    @property
    def _is_coloured(self) -> bool:
        return int(self._tags.get("SamplesPerPixel") or 1) > 1 or self._meaning == "PALETTE COLOR"

    @property
    def _meaning(self) -> str:
        return str(self._tags.get("PhotometricInterpretation") or "")

    def _picture(self, stored: np.ndarray) -> np.ndarray:
        """A frame as a viewer shows it; pydicom has made RGB of other colours by now."""
        from pydicom.pixels import apply_color_lut, apply_modality_lut

        if self._meaning == "PALETTE COLOR":
            coloured = np.asarray(apply_color_lut(stored, self._tags))[..., :3]
            return coloured if coloured.dtype == np.uint8 else (coloured >> 8).astype(np.uint8)
        if stored.ndim == 3:
            return stored if stored.dtype == np.uint8 else _to_bytes(stored, self._low, self._high)
        gray = _to_bytes(np.asarray(apply_modality_lut(stored, self._tags)), self._low, self._high)
        return np.repeat((255 - gray if self._meaning == "MONOCHROME1" else gray)[..., None], 3, axis=2)

    @contextmanager
    def _as_one_error(self, what: str) -> Iterator[None]:
        """Turn any error of pydicom's parsers and decoders into ours, and read values that break DICOM's rules."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except (VideoReadError, ConfigError, MemoryError):
                raise
            except Exception as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                hint = 'pip install "medvid[dicom]" brings the decoders' if "required" in reason else ""
                raise VideoReadError(self.path, f"{what}: {reason}", hint=hint) from error


def seconds_of(tag: Callable[[str], Any], count: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """When the frames of a DICOM file are due, in seconds from the first one, and what is odd; None: it does not say.

    FrameTimeVector counts before FrameTime, and that before CineRate and RecommendedDisplayFrameRate, which say how
    fast to play it.

    Args:
        tag: the value of an attribute by its keyword, None where it is absent.
        count: number of frames.

    Raises:
        ValueError: FrameTimeVector goes back.
    """
    notes: list[str] = []
    vector = tag("FrameTimeVector")
    steps = np.array([] if vector is None else [float(step) for step in np.atleast_1d(vector)]) / 1000
    if len(steps) == count and steps[1:].any():
        if (steps < 0).any():
            raise ValueError("its FrameTimeVector has times that are negative")
        due = np.cumsum(steps)
        return due - due[0], ()
    if len(steps):
        notes.append(f"has a FrameTimeVector of {len(steps)} times for its {count} frames, or of zeros: it is not used")
    step = _positive(tag("FrameTime"))
    rate = _positive(tag("CineRate")) or _positive(tag("RecommendedDisplayFrameRate"))
    if step and rate and abs(1000 / step / rate - 1) > _DIFFERENT:
        notes.append(f"was recorded at {1000 / step:g} frames per second, which counts, but is played at {rate:g}")
    if step or rate:
        return np.arange(count) * (step / 1000 if step else 1 / rate), tuple(notes)
    return None, tuple(notes)


def _positive(value: Any) -> float:
    number = _first(value)
    return number if number is not None and number > 0 else 0.0


def _first(value: Any) -> float | None:
    """A number, the first of several; None where there is none."""
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return None if not several or several[0] in {None, ""} else float(several[0])


def _to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers as 0 (up to low) to 255 (from high on)."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    scaled = (values.astype(np.float32) - low) / (high - low)
    return np.asarray(np.rint(scaled.clip(0, 1) * 255), np.uint8)


def _import_pydicom(path: Path) -> None:
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{path} is DICOM, which cannot be read without pydicom: {error}", hint='pip install "medvid[dicom]"'
        ) from error


def _header(path: Path) -> Any:
    from pydicom import dcmread

    return dcmread(path, stop_before_pixels=True, force=True)
