"""A task that is being planned: its values, and for each planned one the fact that decided it; written as YAML."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

from medvid.config.layers import Override
from medvid.config.yaml import resolve_scalar
from medvid.data.fold_files import Fold

_WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+-]+)*")
_ORDER = ("name", "dataset", "backbone", "head", "train", "evaluation")


@dataclass(slots=True)
class Draft:
    """A task on its way to a file.

    Args:
        values: the task, as JSON values.
        reasons: what decided a value, by its key path.
        head: lines above the task: what was found out, and what could not be.
        folds: to be written into the data set's folder, of which the task then takes the first; none: nothing.
    """

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[tuple[str, ...], str] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)

    def put(self, key: str, value: Any, reason: str = "") -> None:
        """Set a value.

        Args:
            key: where, with dots between the keys.
            value: JSON values.
            reason: the fact that decided it; empty for what is never planned.
        """
        path = tuple(key.split("."))
        block = self.values
        for part in path[:-1]:
            block = block.setdefault(part, {})
        block[path[-1]] = value
        if reason:
            self.reasons[path] = reason

    def override(self, given: Override) -> None:
        """Set what the user gives instead; nothing below it is planned any more."""
        for path in [path for path in self.reasons if path[: len(given.path)] == given.path]:
            del self.reasons[path]
        self.put(".".join(given.path), given.value, "given")

    def text(self) -> str:
        """As YAML, with reasons as comments."""
        head = [
            line for text in self.head for line in wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="#   ")
        ]
        first = {key: self.values[key] for key in _ORDER if key in self.values}
        return "\n".join([*head, *_lines(first | self.values, (), self.reasons)]) + "\n"


def _lines(block: Mapping[str, Any], path: tuple[str, ...], reasons: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    indent = "  " * len(path)
    for key, value in block.items():
        here = (*path, key)
        reason = reasons.get(here, "")
        deeper = any(known[: len(here)] == here and known != here for known in reasons)
        if isinstance(value, Mapping) and value and (deeper or len(here) == 1):
            yield from _commented(f"{indent}{key}:", reason, indent)
            yield from _lines(value, here, reasons)
        elif _holds_blocks(value) and len(flow(value)) > _WIDTH // 2:
            yield from _commented(f"{indent}{key}:", reason, indent)
            yield from (f"{indent}  - {flow(item)}" for item in value)
        else:
            yield from _commented(f"{indent}{key}: {flow(value)}", reason, indent)


def _commented(line: str, reason: str, indent: str) -> Iterator[str]:
    if reason and len(line) + len(reason) + 3 > _WIDTH:
        yield from wrap(reason, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        reason = ""
    yield from _folded(f"{line} # {reason}" if reason else line, indent)


def _folded(line: str, indent: str) -> Iterator[str]:
    """A line, or several where a long list of names can be broken after its commas."""
    if len(line) <= 2 * _WIDTH or '"' in line or "#" in line:
        yield line
    else:
        yield from wrap(line, _WIDTH, subsequent_indent=f"{indent}  ", break_on_hyphens=False, break_long_words=False)


def _holds_blocks(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(it, Mapping) for it in value)


def flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and isinstance(resolve_scalar(value), str)
        return value if is_plain else json.dumps(value.replace("${", "$${"), ensure_ascii=False)
    return json.dumps(value)
