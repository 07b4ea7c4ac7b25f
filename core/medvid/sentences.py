"""Names in sentences: the first ones, and the number of others."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

SHOWN = 10
"""Number of names, cases or problems that a message shows; the others are counted."""


def shown_name(name: str | Path) -> str:
    """A name that can be printed and logged, whatever its bytes on disk."""
    escaped = (c if unicodedata.category(c) not in {"Cc", "Cs"} else ascii(c)[1:-1] for c in str(name))
    return "".join(escaped)


def listed(names: Sequence[object], shown: int = SHOWN, *, of: int | None = None) -> str:
    """Names in a sentence: ``a, b, c and 3 more``.

    Args:
        names: all of them, or the first.
        shown: number of names to show.
        of: total number, if `names` are only the first.
    """
    rest = (len(names) if of is None else of) - len(names[:shown])
    return ", ".join(shown_name(str(name)) for name in names[:shown]) + (f" and {rest} more" if rest else "")


def alternatives(names: Sequence[str]) -> str:
    """Names of which any will do: ``a, b or c``."""
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def in_lines(problems: Sequence[object]) -> str:
    """Problems to follow a colon: the first ten, one per line, and the number of others."""
    rest = len(problems) - SHOWN
    lines = [*map(str, problems[:SHOWN]), *([f"and {rest} more"] if rest > 0 else [])]
    return "".join(f"\n  {line}" for line in lines)
