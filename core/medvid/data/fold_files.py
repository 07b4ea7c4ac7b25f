"""Files of folds, in the form of nnU-Net's splits_final.json: ``[{"train": [ids], "val": [ids]}, ...]``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

from medvid.data.json_files import read_json_value
from medvid.digests import digest_of_files
from medvid.errors import DataError
from medvid.files import json_text, write_text

SPLITS_FILE = "splits_final.json"
"""What nnU-Net calls it, in the folder of the data set."""

Fold = Mapping[str, list[str]]
"""Ids of the cases, ``train`` and ``val``."""


def read_folds(path: Path) -> list[Fold]:
    """The folds of a file, with ids in Unicode's composed form (NFC), as data sets have them.

    Raises:
        DataError: it cannot be read, or has another form.
    """
    if not path.is_file():
        raise DataError(f"the file of folds {path} does not exist", hint="platform data splits writes one")
    content = read_json_value(path)
    if not isinstance(content, list) or not content or not all(map(_is_fold, content)):
        raise DataError(
            f"{path} has to hold a list of {{train: [...], val: [...]}}", hint="platform data splits writes such a file"
        )
    return [{side: [normalize("NFC", case) for case in fold[side]] for side in ("train", "val")} for fold in content]


def write_folds(path: Path, folds: Sequence[Fold]) -> None:
    """Write folds, complete or not at all."""
    write_text(path, json_text(folds, indent=4) + "\n")


def digest_of_folds(path: Path) -> str:
    """The digest of a file of folds, by which a run notices that it changed.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return digest_of_files([path])
    except OSError as error:
        raise DataError(f"the file of folds {path} cannot be read: {error.strerror}") from error


def _is_fold(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(side), list) and all(isinstance(case, str) for case in value[side])
        for side in ("train", "val")
    )
