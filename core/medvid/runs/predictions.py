"""What a folder holds of predictions, and by which weights: so that predicting thousands of files can go on.

Each process writes lines of its own to ``predicted.jsonl`` (``predicted-1.jsonl``, ...): the first says which weights
and options, each further one names a case, with the files that were written for it and those that it was read from.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from medvid.errors import ConfigError, DataError
from medvid.files import make_folder, write_text, writing
from medvid.models.head import Prediction

NAME = "predicted"


class Predictions:
    """The predictions in a folder.

    Args:
        folder: where they are; made when the first one is added.
        made_by: plain values that say by what they are made.
        rank: number of this process.
        hide: what is noted of the path of a source; default: the path.

    Raises:
        ConfigError: the folder holds predictions that were made by something else.
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
                    f"{folder} holds predictions that were made otherwise: {_difference(header, self._made_by)}",
                    hint="give another folder (-o FOLDER), or delete that one",
                )
            self._before[path] = path.stat().st_size
            self._done |= {line["case"]: line for line in lines if "error" not in line}

    def has(self, case: str, sources: Sequence[Path]) -> bool:
        """Whether the prediction of a case is there, of files that have not changed since.

        Raises:
            ConfigError: it is that of another file.
        """
        line = self._done.get(case)
        if line is None:
            return False
        if [path for path, *_ in line["sources"]] != [path for path, *_ in self._states(sources)]:
            raise ConfigError(
                f"{self.folder} holds the prediction of another file that is called {case} too: "
                f"{', '.join(path for path, *_ in line['sources'])}, now {', '.join(map(str, sources))}",
                hint="give another folder (-o FOLDER)",
            )
        return line["sources"] == self._states(sources) and all((self.folder / file).exists() for file in line["files"])

    def add(self, case: str, sources: Sequence[Path], prediction: Prediction) -> None:
        """Note that a case is done and its files are written."""
        files = [os.path.relpath(file, self.folder) for file in prediction.files]
        self._append({"case": case, "files": files, "sources": self._states(sources)})

    def add_error(self, case: str, error: DataError) -> None:
        """Note why a case could not be predicted."""
        self._append({"case": case, "error": str(error), "hint": error.hint})

    def attempts(self) -> dict[str, DataError | None]:
        """The cases that any process has worked on since this one began, with what was wrong with them."""
        lines = [line for path in self._records() for line in _read(path, self._before.get(path, 0)) if "case" in line]
        return {
            line["case"]: DataError(line["error"], hint=line["hint"]) if "error" in line else None for line in lines
        }

    def tidy(self) -> None:
        """Take the folder away where nothing was predicted, and so nothing but records is in it."""
        records = self._records()
        if records and {*self.folder.iterdir()} == {*records}:
            for record in records:
                record.unlink()
            self.folder.rmdir()

    def _states(self, sources: Sequence[Path]) -> list[list[Any]]:
        """Path, size and time of files, by which a change is noticed."""
        states = ((path.absolute(), path.stat()) for path in sources if path.exists())
        return [[self._hide(str(path)), state.st_size, state.st_mtime_ns] for path, state in states]

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


def _read(path: Path, start: int = 0) -> list[dict[str, Any]]:
    """The values of a record from a byte on, without lines that a kill cut short."""
    values = []
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            with suppress(ValueError):
                values.append(json.loads(line))
    return values


def _ends_in_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    keys = [key for key in dict.fromkeys([*found, *wanted]) if found.get(key) != wanted.get(key)]
    return "; ".join(f"{key} {found.get(key)}, now {wanted.get(key)}" for key in keys)
