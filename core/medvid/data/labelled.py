"""A data set of classification whose cases are one array and one label each, small enough to be read whole."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.dataset import Dataset, Placement, Progress
from medvid.data.problems import raise_together
from medvid.data.sample import Batch
from medvid.errors import DataError
from medvid.machine import usable_cores
from medvid.plugin.specs import Layout


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A case in memory, of the size that the model takes, see `medvid.data.dataset.ClassificationCase`.

    Args:
        id: its name.
        prepared: input (C, *S).
        label: id of its label; None where it is not known.
        layout: of the input.
    """

    id: str
    prepared: Tensor
    label: int | None
    layout: Layout

    def input(self) -> Tensor:
        """The prepared input (C, *S)."""
        return self.prepared

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:  # noqa: ARG002 (nothing lies outside of it)
        """The same view again and again, (clips * crops, C, *S)."""
        return self.prepared.expand((clips if self.layout == "video" else 1) * crops, *self.prepared.shape)

    def thumbnails(self, count: int) -> np.ndarray:
        """Gray pictures (at most `count`, H, W, 3) of the first channel, from its darkest to its brightest value."""
        planes = self.prepared[0]
        if self.layout == "volume":  # (X, Y, Z): axial slices, anterior up, the patient's right on the left
            planes = planes.permute(2, 1, 0).flip(1, 2)
        planes = planes.reshape(-1, *planes.shape[-2:])
        chosen = planes[torch.linspace(0, len(planes) - 1, min(count, len(planes))).round().long()].float()
        low, high = planes.min(), planes.max()
        gray = (255 * (chosen - low) / (high - low).clamp_min(1e-12)).byte()
        return gray[..., None].expand(-1, -1, -1, 3).numpy()


class LabelledFile:
    """A new file, read when it is needed, see `medvid.data.dataset.ClassificationCase`.

    Args:
        path: the file, whose name is that of the case.
        read: reads it.
    """

    label = None

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
    """Arrays with one label each: a subclass says which there are, in `cases`, and how one is read.

    Each is read from its file whenever it is needed; there is no cache.
    """

    @abstractmethod
    def read(self, case: str) -> tuple[np.ndarray, int]:
        """One case: its array (C, *S), of the channels and size of `input_info`, and the id of its label."""

    @abstractmethod
    def read_file(self, path: Path) -> np.ndarray:
        """A new file for prediction, as an array (C, *S)."""

    def augment(self, input: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002 (for subclasses)
        """Change a training example (C, *S), with random numbers of the generator alone; here: leave it."""
        return input

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Read all cases once, so that what is wrong with them is found before training."""
        errors: list[DataError] = []
        with ThreadPoolExecutor(usable_cores() + 4) as pool:  # reading and decoding release the interpreter's lock
            for done, error in enumerate(pool.map(self._problem, cases), start=1):
                errors += [error] if error else []
                progress(done, len(cases))
        raise_together(errors)

    def digest(self, cases: Sequence[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for case in map(self.case, cases):
            digest.update(f"{case.id}\0{case.label}\0".encode() + case.prepared.numpy().tobytes())
        return digest.hexdigest()

    def fingerprint(self, case: str) -> str:
        return hashlib.blake2b(self.case(case).prepared.numpy().tobytes(), digest_size=16).hexdigest()

    def labelled(self) -> tuple[str, ...]:
        """All cases: each has a label."""
        return super().labelled()

    def sample(self, case: str, seed: int) -> Batch:
        read, generator = self.case(case), torch.Generator().manual_seed(seed)
        return Batch(self.augment(read.prepared, generator)[None], torch.tensor([read.label]), (case,))

    def case(self, case: str) -> LabelledCase:
        array, label = self.read(case)
        if not 0 <= label < (count := len(self.target_info.labels)):
            raise DataError(f"case {case} has label {label}; {count} labels are declared, 0 to {count - 1}")
        return self._case(case, array, label)

    def open(self, paths: Sequence[Path]) -> Iterator[LabelledFile]:
        names = [path.stem for path in paths]
        if same := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(
                f"several files are called {', '.join(same)}, and so would their predictions",
                hint="predict them one after the other, into different folders",
            )
        return (LabelledFile(path, self._read_new) for path in paths)

    def _read_new(self, path: Path) -> LabelledCase:
        return self._case(path.stem, self.read_file(path), None)

    def _case(self, name: str, array: np.ndarray, label: int | None) -> LabelledCase:
        info = self.input_info
        if array.shape != (wanted := (info.channels, *info.size)):
            raise DataError(f"case {name} has shape {array.shape}, not {wanted}")
        prepared = torch.from_numpy(np.array(array, np.float32, order="C"))
        if not prepared.isfinite().all():
            raise DataError(f"case {name} has values that are NaN or infinite")
        return LabelledCase(name, prepared, label, info.layout)

    def _problem(self, case: str) -> DataError | None:
        try:
            self.case(case)
        except DataError as error:
            return error
        return None
