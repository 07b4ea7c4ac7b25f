"""A data set in memory, of any axes and task: for checks and tests that need one and care for nothing in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from medvid.config.axes import SLICES
from medvid.config.options import DatasetOptions
from medvid.data.batch import Batch
from medvid.data.dataset import Case, Dataset, Progress
from medvid.data.framed import FramedCase, draw_window, filled
from medvid.data.grid import Grid
from medvid.data.labelled import LabelledCase
from medvid.data.splits import Splits
from medvid.digests import digest_of
from medvid.plugin.info import Answered, InputInfo, TargetInfo
from medvid.plugin.specs import Axes, What, Where
from medvid.seeding import derive_seed
from medvid.testing.toy_video import ToyVideo

SPLITS = {"train": ("train/0", "train/1"), "validation": ("validation/0", "validation/1")}


class ToyOptions(DatasetOptions):
    """What the toy data set looks like."""

    name: str = "toy"
    root: Path = Path("toy")
    axes: Axes
    where: Where
    what: What = "class"
    channels: int
    size: tuple[int, ...]
    labels: tuple[str, ...]
    units: tuple[str, ...] = ()
    has_unknown: bool = False
    step: int = 1
    answered: Answered = "all"

    @classmethod
    def of(cls, input_info: InputInfo, target_info: TargetInfo) -> Self:
        """The options of a data set with these inputs and labels."""
        return cls(
            axes=input_info.axes,
            where=target_info.where,
            what=target_info.what,
            channels=input_info.channels,
            size=input_info.size,
            labels=target_info.names,
            units=target_info.units,
            has_unknown=target_info.has_unknown,
            step=input_info.step,
            answered=input_info.answered,
        )

    def input_info(self) -> InputInfo:
        """What a batch looks like."""
        return InputInfo(self.axes, self.channels, self.size, self.step, self.answered)

    def target_info(self) -> TargetInfo:
        """What the labels are."""
        return TargetInfo(self.where, self.what, self.labels, self.units, has_unknown=self.has_unknown)


class ToyDataset(Dataset):
    """Noise with bright blocks whose brightness is their class; two cases for each of two splits.

    The bits of the brightness are the labels of a case, frame or voxel; its values are the brightness plus 0, 1, 2 ...

    Args:
        options: its axes, task, size and labels.
    """

    options: ToyOptions

    def declared(self) -> Splits:
        return SPLITS

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        progress(len(cases), len(cases))

    def digest(self, cases: Sequence[str]) -> str:
        return digest_of(repr((self.options, tuple(cases))).encode())

    def draw(self, case: str, seed: int) -> Batch:
        if self.options.where == "frame":
            generator = torch.Generator().manual_seed(derive_seed("toy", "window", seed))
            return draw_window(self._framed(case, seed), self.input_info, self.target_info, generator)
        x, target = self._draw(case, seed)
        return Batch(x[None], target[None], (case,))

    def open_case(self, case: str) -> Case:
        if self.options.where == "frame":
            return self._framed(case, 0)
        x, target = self._draw(case, 0)
        if (self.options.where, self.options.what, self.options.axes) == ("voxel", "class", "video"):
            return ToyVideo(case, x, target)
        return ToyCase(case, x, target, self.options.axes, values=self.options.what == "value")

    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        for path in paths:
            yield self.open_case(path.stem)

    def _draw(self, case: str, seed: int) -> tuple[Tensor, Tensor]:
        """Input (C, *S), and the target that its brightness tells: (*S) or (L, *S); of a case (), (L,) or (V,)."""
        options, generator = self.options, torch.Generator().manual_seed(derive_seed("toy", case, seed))
        noise = 0.1 * torch.randn(options.channels, *options.size, generator=generator)
        if options.where == "case":
            return self._whole(case, seed, noise, generator)
        count = len(options.labels)
        levels = 2**count if options.what == "labels" else count
        coarse = torch.randint(levels, [-(-length // 4) for length in options.size], generator=generator)
        for axis, length in enumerate(options.size):
            coarse = coarse.repeat_interleave(4, dim=axis).narrow(axis, 0, length)
        if options.what == "labels":
            return noise + coarse, torch.stack([coarse // 2**bit % 2 for bit in range(count)]).float()
        if options.what == "value":
            return noise + coarse, torch.stack([coarse + number for number in range(count)]).float()
        return noise + coarse, coarse

    @property
    def _length(self) -> int:
        return self.options.size[SLICES[self.options.axes]]

    def _framed(self, case: str, seed: int) -> "ToyFrames":
        """A case half as long again as the window; the labels of the two of a split are opposite."""
        options, names = self.options, torch.arange(len(self.options.labels))
        axis, count = 1 + SLICES[options.axes], self._length + self._length // 2
        levels = len(names) if options.what == "class" else 2 ** len(names)
        split, number = case.split("/")
        brightness = (derive_seed("toy", split, seed) % levels + torch.arange(count)) % levels
        if number == "1":
            brightness = levels - 1 - brightness
        generator = torch.Generator().manual_seed(derive_seed("toy", case, seed))
        size = [count if number == axis - 1 else length for number, length in enumerate(options.size)]
        x = 0.1 * torch.randn(options.channels, *size, generator=generator).movedim(axis, -1) + brightness
        if options.what == "class":
            target = brightness
        elif options.what == "labels":
            target = (brightness[:, None] // 2**names % 2).float()
        else:
            target = (brightness[:, None] + names).float()
        return ToyFrames(case, x.movedim(-1, axis), target, options.axes)

    def _whole(self, case: str, seed: int, noise: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A case with one target; labels and values of the two of a split are opposite: no figure is undefined."""
        what, names = self.options.what, torch.arange(len(self.options.labels))
        if what == "class":
            brightness = torch.randint(len(names), (), generator=generator)
            return noise + brightness, brightness
        split, number = case.split("/")
        levels = 2 ** len(names)
        brightness = torch.tensor(derive_seed("toy", split, seed) % levels)
        if number == "1":
            brightness = levels - 1 - brightness
        target = brightness // 2**names % 2 if what == "labels" else brightness + names
        return noise + brightness, target.float()


@dataclass(frozen=True)
class ToyCase(LabelledCase):
    """A case in memory, also one whose target is of voxels; its files are .npy.

    Args:
        values: whether it is values.
    """

    values: bool = False

    @property
    def grid(self) -> Grid:
        """Files and prepared arrays are the same."""
        size = tuple(self.prepared.shape[1:])
        ones = (1.0,) * len(size)
        return Grid(size, ones, size, ones, tuple(range(len(size))), ones, (0.0,) * len(size))

    def native_input(self) -> np.ndarray:
        """The first channel."""
        return self.prepared[0].numpy()

    @property
    def display_window(self) -> None:
        """Of no modality."""

    def native_truth(self) -> np.ndarray:
        """The labels."""
        assert self.target is not None, "toys are annotated"
        return self.target.numpy() if self.values else self.target.byte().numpy()

    def prepared_truth(self) -> np.ndarray:
        """The labels."""
        return self.native_truth()

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write labels as .npy."""
        path = folder / f"{self.id.replace('/', '_')}.npy"
        np.save(path, labels)
        return (path,)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write them as .npy."""
        return self.write(probabilities, folder)


@dataclass(frozen=True)
class ToyFrames(FramedCase):
    """A case in memory whose frames have targets (N, ...), 2 mm or s apart.

    Args:
        id: its name.
        all: its frames (C, *S).
        target: of each; None for a new one.
        axes: of the frames.
    """

    id: str
    all: Tensor
    target: Tensor | None
    axes: Axes

    @property
    def places(self) -> Mapping[str, Sequence[float]]:
        numbers = range(self.all.shape[1 + SLICES[self.axes]])
        number, place = ("frame", "time_s") if self.axes == "video" else ("slice", "position_mm")
        return {number: numbers, place: [2.0 * one for one in numbers]}

    def frames(self, start: int, stop: int, step: int = 1) -> Tensor:
        numbers = torch.tensor(filled(range(start, stop, step), self.frame_count))
        return self.all.index_select(1 + SLICES[self.axes], numbers)
