"""Reporting problems of many cases at once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from medvid.errors import DataError
from medvid.machine import usable_cores
from medvid.sentences import in_lines, listed


def raise_together(errors: Sequence[DataError], what: str = "cases cannot be used") -> None:
    """Raise the errors of several cases as one; nothing if there are none.

    Args:
        errors: in order.
        what: the text after their number.

    Raises:
        DataError: the only error, or one that lists the first ten.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DataError(f"{len(errors)} {what}:{in_lines(errors)}", hint=errors[0].hint)


def open_all(open_case: Callable[[str], object], cases: Sequence[str], progress: Callable[[int, int], None]) -> None:
    """Open all cases once, in threads, so that what is wrong with any is found before training.

    Args:
        open_case: reads one; raises DataError.
        cases: ids.
        progress: called with the number of cases opened and the total.

    Raises:
        DataError: as `raise_together`.
    """

    def problem(case: str) -> DataError | None:
        try:
            open_case(case)
        except DataError as error:
            return error
        return None

    errors: list[DataError] = []
    with ThreadPoolExecutor(usable_cores() + 4) as pool:  # reading and decoding release the interpreter's lock
        for done, error in enumerate(pool.map(problem, cases), start=1):
            errors += [error] if error else []
            progress(done, len(cases))
    raise_together(errors)


def say_together(notes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Log what is odd about several cases, one line per oddity.

    Args:
        notes: of each case.
    """
    cases: dict[str, list[str]] = {}
    for case, said in notes.items():
        for note in said:
            cases.setdefault(note, []).append(case)
    return tuple(f"{_name(named)}: {note}" for note, named in cases.items())


def _name(cases: Sequence[str]) -> str:
    return f"case {cases[0]}" if len(cases) == 1 else f"{len(cases)} cases ({listed(cases)})"
