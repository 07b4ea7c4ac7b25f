"""Reporting what is wrong or odd with many cases at once. Imports nothing heavy."""

from collections.abc import Mapping, Sequence

from medvid.errors import DataError

_SHOWN = 10


def raise_together(errors: Sequence[DataError], what: str = "cases cannot be used") -> None:
    """Raise the errors of several cases as one; nothing if there are none.

    Args:
        errors: in order.
        what: what they come to, behind their number.

    Raises:
        DataError: the only error, or one that lists the first ten.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = "".join(f"\n  {error}" for error in errors[:_SHOWN])
        more = f"\n  and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise DataError(f"{len(errors)} {what}:{lines}{more}", hint=errors[0].hint)


def say_together(notes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Say what is odd about several cases, the same of all of them in one line.

    Args:
        notes: of each case.
    """
    cases: dict[str, list[str]] = {}
    for case, said in notes.items():
        for note in said:
            cases.setdefault(note, []).append(case)
    return tuple(f"{_name(named)}: {note}" for note, named in cases.items())


def _name(cases: Sequence[str]) -> str:
    if len(cases) == 1:
        return f"case {cases[0]}"
    more = ", ..." if len(cases) > _SHOWN else ""
    return f"{len(cases)} cases ({', '.join(cases[:_SHOWN])}{more})"
