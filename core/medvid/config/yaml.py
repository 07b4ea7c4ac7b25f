"""Strict YAML 1.2: plain data, and where in the file each key stands.

Only what a task file needs is accepted: no duplicate keys, tabs, tags, anchors, directives or further documents.
Unquoted scalars are resolved by the core schema (YAML 1.2.2, section 10.3.2): ``1e-4`` is a number, ``no`` is text.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from medvid.errors import ConfigError, MedvidError
from medvid.redaction import SHORTEST, is_secret_variable

KeyPath = tuple[str | int, ...]

MAX_DEPTH = 50
_TAB = re.compile(r"^[^#\n]*?\t", re.MULTILINE)
_VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")
_NAME_AND_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,1000}|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the value at a key path.

    Args:
        path: the key path.
        message: what is wrong.
        place: ``file:line:column``, or the override that it comes from, where that is known already.
        cause: the error that says so, where there was one; that of a plugin is the plugin's fault, not the file's.
    """

    path: KeyPath
    message: str
    place: str = ""
    cause: MedvidError | None = None


@dataclass(slots=True)
class Document:
    """A parsed file.

    Args:
        source: its name.
        data: mappings, lists, text, numbers, booleans and None.
        places: ``file:line:column`` of each key and list item, counted from 1.
        problems: what can be reported together with what is wrong with the values.
    """

    source: str
    data: Any = None
    places: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse_file(text: str, source: str) -> Document:
    """Parse a file that is a mapping, and expand ``${NAME}`` and ``${NAME:-default}`` in its text values.

    ``:-`` also replaces an empty variable, as in a shell. ``$${`` stands for ``${``.

    Raises:
        ConfigError: it is invalid YAML, or not a mapping; with line and column.
    """
    document = _Parser(text, source, is_file=True).parse()
    if not isinstance(document.data, dict):
        raise ConfigError(f"{source}:1:1: should be a mapping of keys to values, e.g. name: unetr_btcv")
    return document


def parse_value(text: str, source: str) -> Any:
    """Parse the value of an override. The environment is not read.

    Raises:
        ConfigError: it is invalid YAML; names the source.
    """
    document = _Parser(text, source, is_file=False).parse()
    if document.problems:
        raise ConfigError(f"{source}: {document.problems[0].message}", hint="quote text with special characters")
    return document.data


def resolve_scalar(text: str) -> Any:
    """The value of an unquoted scalar by the YAML 1.2 core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text, base={"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Parser:
    """Builds plain data from the events of one document. Only in files, variables are expanded and lines counted."""

    def __init__(self, text: str, source: str, *, is_file: bool) -> None:
        self.text, self.is_file = text, is_file
        self.document = Document(source)

    def parse(self) -> Document:
        if tab := _TAB.search(self.text):
            place = self._position(self.text.count("\n", 0, tab.end()), tab.end() - tab.start() - 1)
            raise ConfigError(f"{place}: a tab; YAML is indented and aligned with spaces")
        try:
            self._parse_document(YAML(typ="safe", pure=True).parse(self.text))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = "".join(self.text.split("\n")[mark.line : mark.line + 1])
            raise ConfigError(
                f"{self._position(mark.line, mark.column)}: invalid YAML: {error.problem}",
                hint='inside [ ] and { } quote text with a variable: "${NAME}"' if "${" in line else "",
            ) from None
        except YAMLError as error:  # a character that YAML does not allow
            raise ConfigError(f"{self.document.source}: invalid YAML: {' '.join(str(error).split())}") from None
        return self.document

    def _parse_document(self, events: Iterator[Any]) -> None:
        next(events)  # the start of the stream
        start = next(events)
        if isinstance(start, StreamEndEvent):
            return
        if start.version or start.tags:
            raise ConfigError(
                f"{self._place(start)}: directives (%YAML, %TAG) are not supported: files are read as YAML 1.2"
            )
        self.document.data = self._value(next(events), events, ())
        next(events)  # the end of the document
        if isinstance(further := next(events), DocumentStartEvent):
            raise ConfigError(f"{self._place(further)}: a second document; a task is one document")

    def _value(self, event: Any, events: Iterator[Any], path: KeyPath) -> Any:
        if len(path) > MAX_DEPTH:
            raise ConfigError(f"{self._place(event)}: nested more than {MAX_DEPTH} levels deep")
        self._refuse_extras(event, path)
        match event:
            case MappingStartEvent():
                return self._mapping(events, path)
            case SequenceStartEvent():
                return self._sequence(events, path)
            case ScalarEvent():
                return self._scalar(event, path)
        return None

    def _mapping(self, events: Iterator[Any], path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._key(event, events, path)
            here = (*path, key)
            if key in values:
                self._report(here, event, f"given twice, first at {self.document.places[here]}")
            else:
                self.document.places[here] = self._place(event)
            values[key] = self._value(next(events), events, here)
        return values

    def _key(self, event: Any, events: Iterator[Any], path: KeyPath) -> str:
        if isinstance(event, ScalarEvent):
            self._refuse_extras(event, path)
            key = self._plain(event)
        else:
            key = self._value(event, events, path)
        if not isinstance(key, str):
            self._report((*path, str(key)), event, "keys are text: quote it")
        return str(key)

    def _sequence(self, events: Iterator[Any], path: KeyPath) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            here = (*path, len(values))
            self.document.places[here] = self._place(event)
            values.append(self._value(event, events, here))
        return values

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        value = self._plain(event)
        if not (self.is_file and isinstance(value, str)):
            return value
        try:
            return _VARIABLE.sub(_expand, value)
        except LookupError as error:
            self._report(path, event, error.args[0])
            return value

    def _refuse_extras(self, event: Any, path: KeyPath) -> None:
        if isinstance(event, AliasEvent) or event.anchor:
            self._report(path, event, "anchors and aliases (&, *) are not supported: write the value out")
        elif event.tag:
            self._report(path, event, f"tags are not supported: {event.tag}")

    @staticmethod
    def _plain(event: Any) -> Any:
        return resolve_scalar(event.value) if event.implicit[0] else event.value

    def _place(self, event: Any) -> str:
        return self._position(event.start_mark.line, event.start_mark.column)

    def _position(self, line: int, column: int) -> str:
        """Name a place that is counted from 0 as users count, from 1."""
        return f"{self.document.source}:{line + 1}:{column + 1}" if self.is_file else self.document.source

    def _report(self, path: KeyPath, event: Any, message: str) -> None:
        self.document.problems.append(Problem(path, message, self._place(event)))


def _expand(reference: re.Match[str]) -> str:
    if reference[0].startswith("$$"):
        return reference[0][1:]
    parts = _NAME_AND_DEFAULT.fullmatch(reference[1])
    if parts is None:
        raise LookupError(f"{reference[0]} should be of the form ${{NAME}} or ${{NAME:-default}}")
    name, default = parts[1], parts[2]
    value = os.environ.get(name)
    if value and len(value) < SHORTEST and is_secret_variable(name):
        raise LookupError(
            f"the environment variable {name} holds a secret by its name, too short to be kept out of what is written "
            f"({SHORTEST} characters are needed); call it something else if it is not one"
        )
    if default is not None:
        return value or default
    if value is None:
        raise LookupError(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
    return value
