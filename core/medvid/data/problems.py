"""Reporting what is wrong with many cases at once. Imports nothing heavy."""

from collections.abc import Sequence

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
