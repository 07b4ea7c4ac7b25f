"""Which cases are of one patient, where their names tell."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

_LAST_PART = re.compile(r"(.*\d.*?)[_-][^_-]+")


def patients_of(cases: Sequence[str]) -> Mapping[str, str]:
    """Patients by case: the name before its last _ or -, if that has a number and several cases share it.

    ``patient001_frame01`` and ``patient001_frame12`` are of ``patient001``. Empty where no two cases share one.
    """
    found = {case: match[1] if (match := _LAST_PART.fullmatch(case)) else case for case in cases}
    counts = Counter(found.values())
    shared = [count for count in counts.values() if count > 1]
    if not shared or len(counts) < 2:
        return {}
    return found
