"""A data set whose cases are one array and one answer each, small enough to be read whole."""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress
from medvid.data.placement import Placement
from medvid.data.problems import open_all
from medvid.data.targets import Answer, case_target, unknown_target
from medvid.data.transform import apply
from medvid.digests import digest_of
from medvid.errors import DataError
from medvid.plugin.specs import Axes


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A case in memory, of the size that the model takes, see `medvid.data.dataset.ViewedCase`.

    Args:
        id: its name.
        prepared: input (C, *S).
        target: its class (), labels (L,) or values (V,); None for a new file.
        axes: of the input.
    """

    id: str
    prepared: Tensor
    target: Tensor | None
    axes: Axes

    def input(self) -> Tensor:
        """The prepared input (C, *S)."""
        return self.prepared

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:  # noqa: ARG002 (nothing lies outside of it)
        """The one view, repeated, (clips * crops, C, *S)."""
        return self.prepared.expand((clips if self.axes == "video" else 1) * crops, *self.prepared.shape)

    def thumbnails(self, count: int) -> np.ndarray:
        """Gray pictures (at most `count`, H, W, 3) of the first channel, from its darkest to its brightest value."""
        planes = self.prepared[0]
        if self.axes == "volume":  # (X, Y, Z): axial slices, anterior up, the patient's right on the left
            planes = planes.permute(2, 1, 0).flip(1, 2)
        planes = planes.reshape(-1, *planes.shape[-2:])
        chosen = planes[torch.linspace(0, len(planes) - 1, min(count, len(planes))).round().long()].float()
        low, high = planes.min(), planes.max()
        gray = (255 * (chosen - low) / (high - low).clamp_min(1e-12)).byte()
        return gray[..., None].expand(-1, -1, -1, 3).numpy()


class LabelledFile:
    """A new file, read on first use, see `medvid.data.dataset.ViewedCase`.

    Args:
        path: the file, which also names the case.
        read: reads it.
    """

    target = None

    def __init__(self, path: Path, read: Callable[[Path], LabelledCase]) -> None:
        self.id = path.stem
        self.sources = (path,)
        self._read = read

    def input(self) -> Tensor:
        """As `LabelledCase.input`."""
        return self._read(self.sources[0]).input()

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:
        """As `LabelledCase.views`."""
        return self._read(self.sources[0]).views(clips, crops, placement)

    def thumbnails(self, count: int) -> np.ndarray:
        """As `LabelledCase.thumbnails`."""
        return self._read(self.sources[0]).thumbnails(count)


class LabelledDataset(Dataset):
    """Arrays with a class, labels or values each: a subclass lists them in `cases` and says how one is read.

    Each is read from its file whenever it is needed; there is no cache.
    """

    @abstractmethod
    def read(self, case: str) -> tuple[np.ndarray, Answer]:
        """One case: its array (C, *S), with the channels and size of `input_info`, and its answer.

        The latter is `UNKNOWN`, or NaN, where it is unknown, in data sets whose targets have unknown ones.
        """

    @abstractmethod
    def read_file(self, path: Path) -> np.ndarray:
        """A new file for prediction, as an array (C, *S)."""

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Read all cases once, so that problems are found before training."""
        open_all(self.open_case, cases, progress)

    def digest(self, cases: Sequence[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for case in map(self.open_case, cases):
            digest.update(f"{case.id}\0{_told(case.target)}\0".encode() + case.prepared.numpy().tobytes())
        return digest.hexdigest()

    def fingerprint(self, case: str) -> str:
        return digest_of(self.open_case(case).prepared.numpy().tobytes())

    def labelled(self) -> Sequence[str]:
        """All cases: each has a label."""
        return super().labelled()

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def draw(self, case: str, seed: int) -> Batch:
        read = self.open_case(case)
        target = unknown_target(self.target_info) if read.target is None else read.target
        batch = Batch(read.prepared[None], target[None], (case,))
        return apply(self.transforms, batch, torch.Generator().manual_seed(seed))

    def open_case(self, case: str) -> LabelledCase:
        array, answer = self.read(case)
        return self._case(case, array, case_target(answer, self.target_info, case))

    def open(self, paths: Sequence[Path]) -> Iterator[LabelledFile]:
        names = [path.stem for path in paths]
        if same := sorted(name for name, count in Counter(names).items() if count > 1):
            raise DataError(
                f"several files are called {', '.join(same)}; their predictions would overwrite each other",
                hint="predict them separately, into different folders",
            )
        return (LabelledFile(path, self._read_new) for path in paths)

    def _read_new(self, path: Path) -> LabelledCase:
        return self._case(path.stem, self.read_file(path), None)

    def _case(self, name: str, array: np.ndarray, target: Tensor | None) -> LabelledCase:
        info = self.input_info
        if array.shape != (wanted := (info.channels, *info.size)):
            raise DataError(f"case {name} has shape {array.shape}, not {wanted}")
        prepared = torch.from_numpy(np.array(array, np.float32, order="C"))
        if not prepared.isfinite().all():
            raise DataError(f"case {name} has values that are NaN or infinite")
        return LabelledCase(name, prepared, target, info.axes)


def _told(target: Tensor | None) -> str:
    return "" if target is None else str(target.tolist())
