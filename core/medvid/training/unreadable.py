"""Training cases that cannot be read: counted, named and limited, never left out in silence."""

import logging
import math
from pathlib import Path

from medvid.errors import DataError
from medvid.files import read_json, write_json

logger = logging.getLogger("medvid")


class UnreadableCases:
    """Keeps account of training cases that could not be read, and for which another case stood in.

    Args:
        path: a JSON file with the reason by case, kept up to date; that of a resumed run is gone on with.
        cases: number of training cases.
        limit: largest share of them that may be unreadable.
    """

    def __init__(self, path: Path, cases: int, limit: float) -> None:
        self._path = path
        self._cases = cases
        self.allowed = math.floor(cases * limit)
        self._reasons: dict[str, str] = read_json(path)

    def add(self, case: str, error: DataError) -> None:
        """Take note of a case that could not be read.

        Raises:
            DataError: there are more of them than allowed.
        """
        if case not in self._reasons:
            self._reasons[case] = str(error)
            write_json(self._path, self._reasons)
            logger.warning("another case stands in for an unreadable one (%s): %s", len(self._reasons), error)
        if len(self._reasons) > self.allowed:
            raise DataError(
                f"{len(self._reasons)} of {self._cases} training cases cannot be read, {self.allowed} may be: {error}",
                hint=f"repair or remove them (platform data check names all), see {self._path.name}; or allow more: "
                "--set train.max_unreadable=0.05",
            ) from error
