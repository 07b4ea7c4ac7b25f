"""A data set that keeps to the contract, and others that break one promise each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from medvid.data.batch import Batch
from medvid.data.dataset import Case
from medvid.data.splits import Splits, cases_of_split
from medvid.data.transform import apply
from medvid.errors import DataError
from medvid.plugin.info import InputInfo
from medvid.testing import ToyCase, ToyDataset, ToyOptions


def generate(folder: Path, options: object) -> None:  # noqa: ARG001 (every generator gets them)
    folder.mkdir()
    (folder / "index").write_text("toy")


class Good(ToyDataset):
    def declared(self) -> Splits:
        if not (self.options.root / "index").is_file():
            raise DataError(f"{self.options.root} holds no index")
        return super().declared()

    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        for path in paths:
            array = torch.from_numpy(np.load(path).astype(np.float32))
            yield ToyCase(path.stem, array[None], array, self.options.axes)


class Contradicts(Good):
    """Says something else than its options."""

    @property
    def input_info(self) -> InputInfo:
        return replace(super().input_info, channels=2)


class Overlaps(Good):
    """Evaluates on what it trains on."""

    def declared(self) -> Splits:
        return {split: (*cases, "shared") for split, cases in super().declared().items()}


class Insists(Good):
    """Has its own cases, whatever fold is asked for."""

    def cases(self, split: str) -> tuple[str, ...]:
        return cases_of_split(self.declared(), split, self.options.root)


class Flat(Good):
    """Its samples lack the axis of examples."""

    def draw(self, case: str, seed: int) -> Batch:
        batch = super().draw(case, seed)
        return replace(batch, input=batch.input[0])


class Strange(Good):
    """Has a label that it does not declare."""

    def draw(self, case: str, seed: int) -> Batch:
        batch = super().draw(case, seed)
        return replace(batch, target=batch.target + 1)


class Gambles(Good):
    """Draws from the global generator."""

    def draw(self, case: str, seed: int) -> Batch:  # noqa: ARG002 (that is what is broken)
        return super().draw(case, int(torch.randint(1000, ())))


class Repeats(Good):
    """Pays no heed to the seed."""

    def draw(self, case: str, seed: int) -> Batch:  # noqa: ARG002 (likewise)
        return super().draw(case, 0)


class Finishes(Good):
    """Goes on after its transforms, which it denies."""

    transforms_last = True

    def draw(self, case: str, seed: int) -> Batch:
        changed = apply(self.transforms, super().draw(case, seed), torch.Generator().manual_seed(seed))
        return replace(changed, input=2 * changed.input)


class Divides(Good):
    """Gives something else in loader processes."""

    def draw(self, case: str, seed: int) -> Batch:
        return super().draw(case, seed + (parent_process() is not None))


class Clings(Good):
    """Holds something that belongs to its process."""

    def __init__(self, options: ToyOptions) -> None:
        super().__init__(options)
        self.lock = Lock()


class Forgets(Good):
    """Has the same digest for everything."""

    def digest(self, cases: Sequence[str]) -> str:  # noqa: ARG002 (likewise)
        return "0" * 32


class Hides(Good):
    """Says that no case has labels."""

    def labelled(self) -> tuple[str, ...]:
        return ()


class Refuses(Good):
    """Cannot open what it has generated, unless it is asked for it by a run."""

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (likewise)
        raise DataError(f"toy {case} cannot be read")


class Rambles(Good):
    """Describes its training cases by what no file can keep."""

    def describe(self, cases: Sequence[str]) -> Mapping[str, Any]:
        return {"cases": set(cases)}


class Renames(Good):
    """Opens another case than was asked for."""

    def open_case(self, case: str) -> Case:
        return super().open_case(f"{case}!")


@dataclass(frozen=True)
class TurnedCase(ToyCase):
    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        return super().write(labels.T, folder)


@dataclass(frozen=True)
class MirroredCase(ToyCase):
    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        return super().write(np.flip(labels).copy(), folder)


class Turns(Good):
    """Writes predictions with their axes turned."""

    def open_case(self, case: str) -> Case:
        found = super().open_case(case)
        assert isinstance(found, ToyCase)
        return TurnedCase(found.id, found.prepared, found.target, found.axes)


class Mirrors(Good):
    """Writes predictions mirrored."""

    def open_case(self, case: str) -> Case:
        found = super().open_case(case)
        assert isinstance(found, ToyCase)
        return MirroredCase(found.id, found.prepared, found.target, found.axes)


@dataclass(frozen=True)
class SpillingCase(ToyCase):
    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        np.save(folder / "unnamed.npy", probabilities)
        return super().write_probabilities(probabilities, folder)


class Spills(Good):
    """Writes a file of probabilities that it does not name."""

    def open_case(self, case: str) -> Case:
        found = super().open_case(case)
        assert isinstance(found, ToyCase)
        return SpillingCase(found.id, found.prepared, found.target, found.axes)
