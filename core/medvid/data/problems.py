"""Reporting what is wrong with many cases at once. Imports nothing heavy."""

from collections.abc import Sequence

from medvid.errors import DataError

_SHOWN = 10


def raise_together(errors: Sequence[DataError]) -> None:
    """Raise the errors of several cases as one; nothing if there are none.

    Raises:
        DataError: the only error, or one that lists the first ten.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = "".join(f"\n  {error}" for error in errors[:_SHOWN])
        more = f"\n  and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise DataError(f"{len(errors)} cases cannot be used:{lines}{more}", hint=errors[0].hint)
