"""Files of embeddings: NumPy's .npz, without pickled objects."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

import numpy as np

from medvid.data.listing import find_files
from medvid.evaluation.evaluator import Prediction
from medvid.evaluation.inference.features import InferredFeatures
from medvid.evaluation.report import file_name
from medvid.files import make_folder, replace_file

FEATURES = "feats"
"""Name of the embeddings in a case's file, as ActionFormer and its relatives read them."""
ABOUT = "__about__"
"""Name of the record, JSON in a text, in a file of several cases."""
SUFFIX = ".npz"


class FeatureWriter:
    """Writes the embeddings of each case into a file of its own: ``feats``, and ``time_s`` or ``position_mm``."""

    def write(self, inferred: InferredFeatures, folder: Path) -> Prediction:
        """Write CASE.npz below folder."""
        path = folder / f"{file_name(inferred.case.id)}{SUFFIX}"
        make_folder(folder)
        with replace_file(path) as file, ZipFile(file, "w") as content:
            for name, values in {FEATURES: inferred.values, **inferred.places}.items():
                _add(content, name, values)
        return Prediction((path,), (" x ".join(map(str, inferred.values.shape)),))


def join_features(folder: Path, about: Mapping[str, Any], output: Path) -> None:
    """Write the files of a folder as one: embeddings by the id of their case, and CASE/time_s or CASE/position_mm.

    Args:
        folder: as `FeatureWriter` left it.
        about: what they are made by.
        output: the file; one that is there is replaced.
    """
    with replace_file(output) as file, ZipFile(file, "w") as joined:
        for path in find_files(folder, recursive=False):
            if path.suffix != SUFFIX:
                continue
            with np.load(path, allow_pickle=False) as content:
                for name in content.files:
                    case = unquote(path.stem)
                    _add(joined, case if name == FEATURES else f"{case}/{name}", content[name])
        _add(joined, ABOUT, np.array(json.dumps(about)))


def _add(joined: ZipFile, name: str, values: np.ndarray) -> None:
    with joined.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)
