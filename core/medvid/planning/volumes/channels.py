"""What the channels of a data set are called, which decides how they are normalised."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from medvid.data.json_files import read_json
from medvid.data.tables.facts import AIR
from medvid.planning.volumes.facts import CaseFacts

_FILES = ("dataset.json", "dataset_0.json")


def named_channels(root: Path, count: int) -> tuple[str, ...]:
    """Names in the folder's dataset.json, as nnU-Net and the Decathlon have them; empty where it has none."""
    for path in (root / name for name in _FILES):
        content = read_json(path) if path.is_file() else {}
        named = content.get("channel_names") or content.get("modality")
        if isinstance(named, Mapping) and len(named) == count:
            return tuple(str(named[key]) for key in sorted(named, key=_number))
    return ()


def guess_channels(facts: Sequence[CaseFacts]) -> tuple[str, ...]:
    """CT where most cases reach the values of air in Hounsfield units, else MR, which means a z-score."""
    guessed = []
    for channel in range(len(facts[0].lowest)):
        low = sum(each.lowest[channel] <= AIR for each in facts)
        guessed.append("CT" if 2 * low > len(facts) else "MR")
    return tuple(guessed)


def _number(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (10**9, key)
