"""Work grows with the number of cases, not with its square: it is counted, as times depend on the machine."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import pytest

from medvid.data import file_hashes
from medvid.data.volumes import content
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.index import Index, find_cases
from medvid.runs.chosen import external_cases
from medvid.runs.origin import Known, Origin
from medvid.testing import ToyDataset, ToyOptions
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI

FEW, MANY = 40, 160


class Name(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def comparisons(do: Callable[[], object]) -> int:
    Name.compared = 0
    do()
    return Name.compared


def calls(do: Callable[[], object]) -> int:
    """How many functions are called, in Python and in C."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


def test_a_list_is_read_in_linear_time(tmp_path: Path) -> None:
    def read(count: int) -> int:
        root = tmp_path / str(count)
        for kind in ("imagesTr", "labelsTr"):
            (root / kind).mkdir(parents=True)
            for number in range(count):
                (root / kind / f"c{number:04d}.nii.gz").touch()
        entries = [{"image": f"imagesTr/c{n:04d}.nii.gz", "label": f"labelsTr/c{n:04d}.nii.gz"} for n in range(count)]
        (root / "dataset.json").write_text(json.dumps({"training": entries}))
        formats = shipped_formats()
        return calls(lambda: find_cases(root, formats=formats))

    few, many = read(FEW), read(MANY)
    assert many / few == pytest.approx(MANY / FEW, rel=0.1)


def names(count: int, kind: str = "c") -> list[str]:
    return [Name(f"{kind}{number}") for number in range(count)]


def indexed(count: int) -> NIfTI:
    """A data set with as many test cases as others, none of which is read."""
    dataset = NIfTI(NIfTIOptions(root=Path("data"), labels=("background", "organ"), spacing=None))
    train, test = names(count), names(count, "t")
    cases = {name: CaseFiles(name, (Path(name),), Path(name)) for name in (*train, *test)}
    dataset.index = Index("datalist", cases, {"train": tuple(train), "test": tuple(test)})
    return dataset


@pytest.mark.parametrize("look", [lambda dataset: dataset.splits, lambda dataset: dataset.index.labelled])
def test_splits_compare_each_name_a_few_times(look: Callable[[NIfTI], object]) -> None:
    few, many = indexed(FEW), indexed(MANY)
    assert comparisons(lambda: look(many)) <= 2 * MANY / FEW * comparisons(lambda: look(few)) + MANY


def test_leaving_out_trained_cases_compares_each_name_a_few_times() -> None:
    class Labelled(ToyDataset):
        def labelled(self) -> tuple[str, ...]:
            return tuple(names(MANY))

        def digest(self, cases: object) -> str:  # noqa: ARG002 (all are the same)
            return "same"

        def prepare(self, cases: object, progress: object) -> None: ...

        def fingerprint(self, case: str) -> str:
            return str(case)

    options = ToyOptions(axes="image", where="case", what="class", channels=1, size=(8, 8), labels=("a", "b"))
    trained = {name: Known("same", str(name)) for name in names(MANY)[1:]}
    origin = Origin({}, {}, {"train": trained})
    assert comparisons(lambda: external_cases(Labelled(options), origin, "leave-out", lambda *_: None)) < 5 * MANY


_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opened)  # which cannot be taken back


def opened_by(do: Callable[[], object]) -> set[str]:
    """Names of the files that are opened meanwhile, whoever opens them."""
    global _opened  # noqa: PLW0603 (the hook has no other way to know)
    _opened = []
    try:
        do()
        return {Path(name).name for name in _opened}
    finally:
        _opened = None


def test_a_second_start_hashes_no_scan_and_opens_no_array(
    tmp_path: Path, write_case: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at the beginnings of scans, which tell their format."""
    monkeypatch.setattr(file_hashes, "SETTLED", -(10**6))
    hashed: list[str] = []
    for name in ("digest_of_files", "stored_content"):
        original = getattr(content, name)

        @wraps(original)
        def noted(paths: list[Path], original: Callable[[list[Path]], str] = original) -> str:
            hashed.extend(path.name for path in paths)
            return original(paths)

        monkeypatch.setattr(content, name, noted)
    for name in "abcd":
        write_case(tmp_path / "data", name, seed=ord(name))

    def start() -> list[str]:
        options = NIfTIOptions(
            root=tmp_path / "data", labels=("background", "cube"), spacing=None, cache=tmp_path / "cache"
        )
        dataset = NIfTI(options)
        cases = [case for split in dataset.splits.values() for case in split]
        dataset.prepare(cases, lambda *_: None)
        return [dataset.digest(cases), *map(dataset.fingerprint, cases)]

    began = start()
    assert sorted(hashed) == sorted(3 * ["a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz"])
    hashed.clear()
    again: list[str] = []
    assert not {name for name in opened_by(lambda: again.extend(start())) if name.endswith(".npy")}
    assert (hashed, again) == ([], began)
    write_case(tmp_path / "data", "b", seed=0)
    assert start() != began
    assert set(hashed) == {"b.nii.gz"}
