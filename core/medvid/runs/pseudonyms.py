"""Names of cases, files and folders of patients, and the keyed pseudonyms that replace them outside the data.

A pseudonym is an HMAC-SHA256 of a name, with a key that belongs to the site: a case has the same one in all runs of a
site, and nobody without the key can test guesses of names.
"""

import csv
import hashlib
import hmac
import logging
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, cast

from medvid.config.task import Task
from medvid.errors import ConfigError, DataError, MedvidError
from medvid.files import create_file, make_folder, write_text

KEY_VARIABLE = "MEDVID_PSEUDONYM_KEY"
DIGITS = 10
"""Hex digits of a pseudonym."""
PRIVATE = "private"
"""Folder of the table of pseudonyms, for its owner only; never mirrored."""

_SHORTEST_KEY = 16
_SHORT = 4
"""Characters; a shorter name could be any word, and means a case only after ``case`` or in a path."""
_ENDING = re.compile(r"(?:\.nii)?\.[A-Za-z][A-Za-z0-9]{0,4}$")
_CHANNEL = re.compile(r"_\d{4}$")
_LISTS = {".json", ".csv", ".tsv", ".txt"}
_LONGEST_LIST = 1 << 26
_LISTED = re.compile(
    r"[^\"',;\t\r\n|]+\.(?:nii|gz|png|jpe?g|tiff?|bmp|npz|h5|dcm|mp4|avi|mkv|mov|webm|mpe?g)\b", re.IGNORECASE
)
_LAYOUT = {
    *("images", "masks", "labels", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "img", "label", "train", "training"),
    *("validation", "val", "test", "testing", "videos", "clips", "frames", "annotations", "Training", "Testing"),
    *("train_npz", "test_vol_h5", "lists", "data", "mask", "image", "gt", "Images", "Masks", "Labels"),
    *("dataset", "dataset_0", "datalist", "metadata", "classes", "README", "LICENSE", "splits_final"),
}
"""Names of folders and lists in published layouts."""


def site_key() -> bytes:
    """The site's key: from the environment, else from its file, which is made on first use.

    Raises:
        ConfigError: it is too short or cannot be read.
        ResourceError: the file cannot be written.
    """
    if (given := os.environ.get(KEY_VARIABLE)) is not None:
        return _checked(given, KEY_VARIABLE)
    home = os.environ.get("XDG_DATA_HOME")
    path = (Path(home) if home else Path.home() / ".local" / "share") / "medvid" / "pseudonym.key"
    if not path.exists():
        make_folder(path.parent, 0o700)
        create_file(path, secrets.token_hex(32).encode() + b"\n", 0o600)
    try:
        return _checked(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key of pseudonyms in {path} cannot be read: {error}", hint="restore it") from error


def _checked(text: str, source: str) -> bytes:
    key = text.strip()
    if len(key) < _SHORTEST_KEY:
        raise ConfigError(
            f"the key of pseudonyms in {source} has {len(key)} characters, the minimum is {_SHORTEST_KEY}",
            hint='make one: python -c "import secrets; print(secrets.token_hex(32))"',
        )
    return key.encode()


class Pseudonyms:
    """Makes pseudonyms for names, and replaces known names in texts.

    Args:
        key: the site's.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cases: dict[str, str] = {}  # id by pseudonym
        self._paths: dict[str, set[Path]] = {}  # by name without ending
        self._names: dict[str, str] = {}  # replacement by name
        self._places: dict[str, str] = {}  # folders as written
        self._spared: set[str] = set()

    def of(self, name: str) -> str:
        """The pseudonym of a name."""
        return hmac.new(self._key, name.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[:DIGITS]

    @cached_property
    def check_value(self) -> str:
        """Identifies this key without revealing it."""
        return hmac.new(self._key, b"medvid: which key is this?", hashlib.sha256).hexdigest()[:16]

    def add_case(self, case: str, sources: Sequence[Path] = ()) -> str:
        """The pseudonym of a case, which is kept for the table.

        Args:
            case: its id.
            sources: its files; default: files of the data set with its name.

        Raises:
            DataError: another case has the same pseudonym.
        """
        name = self.of(case)
        if self._cases.setdefault(name, case) != case:
            raise DataError(
                f"two cases have the pseudonym {name}", hint=f"rename one of them, or use another key: {KEY_VARIABLE}"
            )
        self._learn_name(case)
        if sources:
            self._paths[case] = set(sources)
        return name

    def case(self, name: str) -> str | None:
        """The id of a case by its pseudonym; None if unknown."""
        return self._cases.get(name)

    def learn_task(self, task: Task) -> None:
        """Learn the names in a task's data set: in its folder, its lists and its options."""
        options = task.dataset.model_dump(exclude={"cache"})
        split = options.pop("split", None) or {}
        self._spared |= {*_texts(options), *_LAYOUT}
        for case in _texts(list(split.values()) if isinstance(split, Mapping) else split):
            self._learn_name(case)
        for place in options.values():
            if isinstance(place, Path):
                self.learn(place)

    def learn(self, place: Path) -> None:
        """Learn the names of a file, or of a folder and everything in it; the path need not exist."""
        if is_file := place.is_file():
            self._learn_file(place)
        for written in (place, place.absolute(), place.resolve()):
            if os.sep in (text := str(written)) and written.name:
                self._places[text] = f"<data>/{self._hidden_part(place.name)}" if is_file else "<data>"
        for top, folders, files in os.walk(place):
            for name in set(folders) - self._spared:
                self._learn_name(name)
            for name in files:
                self._learn_file(Path(top, name))
        self.__dict__.pop("_patterns", None)

    def _learn_file(self, path: Path) -> None:
        stem = _ENDING.sub("", path.name)
        for name in {stem, _CHANNEL.sub("", stem), path.stem} - self._spared:
            self._learn_name(name)
            self._paths.setdefault(name, set()).add(path)
        if path.suffix.lower() in _LISTS and path.stat().st_size < _LONGEST_LIST:
            for listed in _LISTED.findall(path.read_text(encoding="utf-8", errors="replace")):
                stem = _ENDING.sub("", Path(listed.strip()).name)
                for name in (stem, _CHANNEL.sub("", stem)):
                    self._learn_name(name)

    def _learn_name(self, name: str) -> None:
        if not name or name in self._names:
            return
        for form in ("NFC", "NFD"):
            self._names.setdefault(unicodedata.normalize(form, name), self.of(name))
        self._names[name] = self.of(name)
        self.__dict__.pop("_patterns", None)

    @cached_property
    def _patterns(self) -> list[tuple[str, str, str]]:
        """Names, longest first, in lower case, and their replacements."""
        ordered = sorted(self._names.items(), key=lambda item: (-len(item[0]), item[0]))
        return [(name.casefold(), name, replacement) for name, replacement in ordered]

    def hide(self, text: str) -> str:
        """The text with pseudonyms for the names of cases and files, and without their folders.

        A name is replaced if no letter or digit adjoins it, in upper or lower case; one with fewer than four characters
        only after ``case`` and in paths.
        """
        for place in sorted(self._places, key=len, reverse=True):
            if place in text:
                text = re.sub(
                    rf"(?P<place>{re.escape(place)})(?![^\W_])(?P<below>(?:/[^\s/:;,'\"()]+)*)", self._hidden_path, text
                )
        folded = text.casefold()
        for sought, name, replacement in self._patterns:
            if sought in folded:
                text = re.sub(_pattern(name), replacement, text, flags=re.IGNORECASE)
        return text

    def _hidden_path(self, match: re.Match[str]) -> str:
        return "/".join([self._places[match["place"]], *map(self._hidden_part, match["below"].split("/")[1:])])

    def _hidden_part(self, part: str) -> str:
        if part in self._spared:
            return part
        ending = _ENDING.search(part)
        stem = part[: ending.start()] if ending else part
        return self._names.get(stem, self.of(stem)) + (ending[0] if ending else "")

    def hide_in(self, value: Any) -> Any:
        """A JSON value with names hidden in its texts."""
        if isinstance(value, str | Path):
            return self.hide(str(value))
        if isinstance(value, Mapping):
            return {key: self.hide_in(item) for key, item in value.items()}
        return [self.hide_in(item) for item in value] if isinstance(value, list | tuple) else value

    def hidden(self, error: Exception) -> Exception:
        """The error with names hidden in its texts, and in those that caused it; a new one if it cannot be changed."""
        self._hide_error(error, set())
        if self.hide(str(error)) == str(error):
            return error
        if isinstance(error, MedvidError):
            kind = next(base for base in type(error).__mro__ if base.__module__ == "medvid.errors")
            return cast(MedvidError, kind(self.hide(str(error)), hint=error.hint))
        return RuntimeError(self.hide(f"{type(error).__name__}: {error}"))

    def _hide_error(self, error: BaseException, seen: set[int]) -> None:
        if id(error) in seen:
            return
        seen.add(id(error))
        if (told := tuple(map(self._hide_value, error.args))) != error.args:
            error.args = told
        for name in (*vars(error), "filename", "filename2", "name", "path", "msg"):
            value = getattr(error, name, None)
            if isinstance(value, str | Path | list) and (hidden := self._hide_value(value)) != value:
                with suppress(AttributeError, TypeError):
                    setattr(error, name, hidden)
        for link in ("__cause__", "__context__"):
            if linked := getattr(error, link):
                self._hide_error(linked, seen)
                if self.hide(str(linked)) != str(linked):
                    setattr(error, link, None)
        for part in getattr(error, "exceptions", ()):
            self._hide_error(part, seen)

    def _hide_value(self, value: Any) -> Any:
        if isinstance(value, Path):
            return Path(self.hide(str(value)))
        return self.hide_in(value) if isinstance(value, str | list) else value

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Within the block, errors show pseudonyms."""
        try:
            yield
        except Exception as error:
            hidden = self.hidden(error)
            if hidden is error:
                raise
            raise hidden from None

    def write_table(self, folder: Path) -> None:
        """Write the case of each pseudonym to ``private/cases.csv``, readable for its owner only.

        Args:
            folder: of a run or of predictions; existing entries of its table stay.
        """
        private = folder / PRIVATE
        make_folder(private, 0o700)
        private.chmod(0o700)
        table = private / "cases.csv"
        rows: dict[str, Sequence[str]] = {}
        if table.exists():
            with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                rows = {row[0]: row for row in list(csv.reader(file))[1:] if row}
        rows |= {name: (name, case, self._paths_of(case)) for name, case in self._cases.items()}
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([("pseudonym", "id", "path"), *rows.values()])
        write_text(table, text.getvalue(), 0o600)

    def _paths_of(self, case: str) -> str:
        paths = self._paths.get(case) or self._paths.get(Path(case).name) or set()
        return "; ".join(map(str, sorted(paths)))

    def __enter__(self) -> "Pseudonyms":
        global _make_record  # noqa: PLW0603 (logging has one factory)
        if (factory := logging.getLogRecordFactory()) is not _hidden_record:
            _make_record = factory
            logging.setLogRecordFactory(_hidden_record)
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.remove(self)
        if not _active and logging.getLogRecordFactory() is _hidden_record:
            logging.setLogRecordFactory(_make_record)


_active: list[Pseudonyms] = []
_make_record: Callable[..., logging.LogRecord] = logging.getLogRecordFactory()


def active() -> Pseudonyms:
    """The pseudonyms that this process uses at present."""
    return _active[-1]


def use_in_this_process(pseudonyms: Pseudonyms) -> None:
    """Hide names until the end of a process started for a data set, unless it has inherited this."""
    if not _active:
        pseudonyms.__enter__()


def _hidden_record(*args: Any, **more: Any) -> logging.LogRecord:
    """A log record, from any logger, with pseudonyms."""
    record = _make_record(*args, **more)
    try:
        message = record.getMessage()
    except Exception:  # logging itself reports it
        message = str(record.msg)
    for pseudonyms in _active:
        message = pseudonyms.hide(message)
    record.msg, record.args = message, ()
    if record.exc_info:
        trace = logging.Formatter().formatException(record.exc_info)
        for pseudonyms in _active:
            trace = pseudonyms.hide(trace)
        record.exc_text, record.exc_info = trace, None
    return record


@contextmanager
def pseudonyms_of(task: Task, places: Iterable[Path] = ()) -> Iterator[Pseudonyms | None]:
    """Within the block, log records and errors show pseudonyms, if the task asks for them; else None.

    Args:
        task: resolved.
        places: further files and folders whose names are hidden.
    """
    if not task.privacy.pseudonyms:
        yield None
        return
    with Pseudonyms(site_key()) as pseudonyms:
        pseudonyms.learn_task(task)
        for place in places:
            pseudonyms.learn(place)
        with pseudonyms.errors():
            yield pseudonyms


def check_key(pseudonyms: Pseudonyms | None, began: str) -> None:
    """Make sure that cases have the names that they had when a run started.

    Args:
        pseudonyms: the ones in use now.
        began: the check value of the run's key; empty if it has none.

    Raises:
        ConfigError: they would have other names.
    """
    now = pseudonyms.check_value if pseudonyms else ""
    if bool(now) != bool(began):
        raise ConfigError(
            f"privacy.pseudonyms was {str(bool(began)).lower()} when the run started, and its cases are named by that",
            hint="do not change it, or start a new run",
        )
    if now != began:
        raise ConfigError(
            f"the key of pseudonyms differs from the run's key: its check value is {now}, the run's is {began}",
            hint=f"set {KEY_VARIABLE} to the run's key, or restore medvid/pseudonym.key",
        )


def _pattern(name: str) -> str:
    found = re.escape(name)
    if len(name) < _SHORT:
        return (
            rf"(?<=case ){found}(?!\w)|(?<=/){found}(?=[./]|$)|(?<![\w.]){found}(?=\.(?:nii|png|jpe?g|tiff?|mp4|avi)\b)"
        )
    return rf"(?<![^\W_]){found}(?![^\W_])"


def _texts(value: Any) -> Iterator[str]:
    """The texts in options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _texts(item)
