"""The record of predictions in a folder, and of their weights, so that predicting thousands of files can be continued.

Each process writes its own lines to ``predicted.jsonl`` (``predicted-1.jsonl``, ...): the first has the weights and
options, each further one names a case, the files written for it, the files it was read from, and what was predicted
where that is a few values, or the file that has a row of them for each frame.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from medvid.data.listing import files_below
from medvid.errors import ConfigError, DataError
from medvid.evaluation.evaluator import Prediction
from medvid.evaluation.report import write_rows
from medvid.files import make_folder, write_text, writing

NAME = "predicted"
TABLE = "predictions.csv"


class Predictions:
    """The predictions in a folder.

    Args:
        folder: their folder; made when the first one is added.
        made_by: plain values that identify weights and options.
        rank: number of this process.
        hide: makes the record of a source from its path; default: the path.

    Raises:
        ConfigError: the folder holds predictions of other weights or options.
    """

    def __init__(
        self, folder: Path, made_by: Mapping[str, Any], rank: int = 0, hide: Callable[[str], str] = str
    ) -> None:
        self.folder, self._made_by = folder, json.loads(json.dumps(made_by, default=str))
        self._path = folder / (f"{NAME}-{rank}.jsonl" if rank else f"{NAME}.jsonl")
        self._hide = hide
        self._done: dict[str, Mapping[str, Any]] = {}
        self._before: dict[Path, int] = {}
        for path in self._records():
            lines = _read(path)
            if not lines:  # a kill cut the first one short
                path.unlink(missing_ok=True)
                continue
            header, *lines = lines
            if header != self._made_by:
                raise ConfigError(
                    f"{folder} holds predictions of other weights or options: {_difference(header, self._made_by)}",
                    hint="choose another folder (-o FOLDER), or delete that one",
                )
            self._before[path] = path.stat().st_size
            self._done |= {line["case"]: line for line in lines if "error" not in line}

    def has(self, case: str, sources: Sequence[Path]) -> bool:
        """Whether the prediction of a case exists, from files that are unchanged since.

        Raises:
            ConfigError: it is the prediction of another file.
        """
        line = self._done.get(case)
        if line is None:
            return False
        if [path for path, *_ in line["sources"]] != [path for path, *_ in self._states(sources)]:
            raise ConfigError(
                f"{self.folder} holds the prediction of another file with the name {case}: "
                f"{', '.join(path for path, *_ in line['sources'])}, now {', '.join(map(str, sources))}",
                hint="choose another folder (-o FOLDER)",
            )
        return line["sources"] == self._states(sources) and all((self.folder / file).exists() for file in line["files"])

    def add(self, case: str, sources: Sequence[Path], prediction: Prediction) -> None:
        """Record that a case is done and its files are written."""
        files = [os.path.relpath(file, self.folder) for file in prediction.files]
        answers: dict[str, Any] = {}
        if prediction.row is not None:
            answers["rows"] = [dict(prediction.row)]
        if prediction.table is not None:
            answers["table"] = os.path.relpath(prediction.table, self.folder)
        self._append({"case": case, "files": files, "sources": self._states(sources), **answers})

    def add_error(self, case: str, error: DataError) -> None:
        """Record why a case could not be predicted."""
        self._append({"case": case, "error": str(error), "hint": error.hint})

    def attempts(self) -> dict[str, DataError | None]:
        """The cases that any process has worked on since this one started, with their errors."""
        lines = [line for path in self._records() for line in _read(path, self._before.get(path, 0)) if "case" in line]
        return {
            line["case"]: DataError(line["error"], hint=line["hint"]) if "error" in line else None for line in lines
        }

    def write_table(self) -> None:
        """Write what was predicted as predictions.csv, a row per case, or per frame, if it is a few values of each.

        Rows of frames come from the tables of their cases, one after the other, so that videos may be of any length. A
        case whose table was deleted is left out.
        """
        answered = (line for path in self._records() for line in _read(path) if {"rows", "table"} & line.keys())
        lines = {line["case"]: line for line in answered}
        done = [lines[case] for case in sorted(lines)]
        columns = dict.fromkeys(key for line in done for key in _columns(line, self.folder))
        if columns:
            rows = (
                {"case": line["case"], "path": next(iter(line["sources"]), [""])[0], **row}
                for line in done
                for row in _rows(line, self.folder)
            )
            write_rows(rows, ["case", "path", *columns], self.folder / TABLE)

    def tidy(self) -> None:
        """Delete the folder if nothing was predicted, so that it holds only records."""
        records = self._records()
        if records and {*self.folder.iterdir()} == {*records}:
            for record in records:
                record.unlink()
            self.folder.rmdir()

    def _states(self, sources: Sequence[Path]) -> list[list[Any]]:
        """Path, size and time of files, by which changes are noticed; of a folder, those of all its files together."""
        found = {path: [file.stat() for file in files_below(path)] for path in sources if path.exists()}
        return [[self._hide(str(path.absolute())), *_state(states)] for path, states in found.items() if states]

    def _records(self) -> list[Path]:
        return sorted(self.folder.glob(f"{NAME}.jsonl")) + sorted(self.folder.glob(f"{NAME}-*.jsonl"))

    def _append(self, line: Mapping[str, Any]) -> None:
        make_folder(self.folder)
        if not self._path.exists():
            write_text(self._path, json.dumps(self._made_by) + "\n")
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            if not _ends_in_line(self._path):  # a kill cut the last one short
                file.write("\n")
            file.write(json.dumps(line) + "\n")


def _state(states: Sequence[os.stat_result]) -> tuple[int, int]:
    """Size and time of files together."""
    return sum(one.st_size for one in states), max(one.st_mtime_ns for one in states)


def _read(path: Path, start: int = 0) -> list[dict[str, Any]]:
    """The values of a record from a byte offset, without lines that a kill cut short."""
    values = []
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            with suppress(ValueError):
                values.append(json.loads(line))
    return values


def _columns(line: Mapping[str, Any], folder: Path) -> list[str]:
    """The columns of the rows of a case."""
    if "rows" in line:
        return list(dict.fromkeys(key for row in line["rows"] for key in row))
    with suppress(FileNotFoundError), (folder / line["table"]).open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
    return []


def _rows(line: Mapping[str, Any], folder: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a case."""
    if "rows" in line:
        yield from line["rows"]
        return
    with suppress(FileNotFoundError), (folder / line["table"]).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _ends_in_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    keys = [key for key in dict.fromkeys([*found, *wanted]) if found.get(key) != wanted.get(key)]
    return "; ".join(f"{key} {found.get(key)}, now {wanted.get(key)}" for key in keys)
