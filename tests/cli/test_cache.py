"""`platform cache` on a cache that a data set filled."""

import os
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four prepared cases, of which one was used 40 days ago, in the folder that XDG_CACHE_HOME asks for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for folder, dtype in (("images", np.int16), ("labels", np.uint8)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng(number).integers(0, 1000, (12, 10, 8))
            content = noise if folder == "images" else np.ones((12, 10, 8))
            nibabel.save(
                nibabel.Nifti1Image(content.astype(dtype), np.eye(4)), tmp_path / "data" / folder / f"{number}.nii.gz"
            )
    labels = ["background", "x"]
    dataset = NIfTI(NIfTIOptions.model_validate({"root": tmp_path / "data", "labels": labels}))
    monkeypatch.setattr("medvid.data.volumes.cache.lease", lambda *_: None)  # this process lives on
    dataset.prepare([str(number) for number in range(4)], lambda *_: None)
    folder = tmp_path / "xdg" / "medvid"
    oldest = min(folder.glob("volumes/*/*"))
    os.utime(oldest, (time.time() - 40 * 86400,) * 2)
    return folder


def test_show_and_prune(platform: Any, cache: Path) -> None:
    code, out, _ = platform("cache")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"{cache}: 4 prepared cases, ")
    assert lines[1].startswith("  last used within a day: 3 prepared cases, ")
    assert lines[2].startswith("  last used within a year: 1 prepared case, ")
    dry = platform("cache", "prune", "--older-than", "30", "--dry-run").out.splitlines()
    assert dry[0].startswith("would be deleted: 1 prepared case, ")
    assert dry[1].startswith(f"left in {cache}: 3 prepared cases, ")
    assert platform("cache", "prune", "--older-than", "30").out.splitlines()[0].startswith("deleted: 1 prepared case, ")
    assert (
        platform("cache", "prune", "--to-size", "0").out.splitlines()[1]
        == f"left in {cache}: 0 prepared cases, 0 bytes"
    )
    assert platform("cache", "--cache", cache.parent / "absent").out.endswith("absent: 0 prepared cases, 0 bytes\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give limits or --all, not both"),
        (["--all", "--older-than", "3"], "give limits or --all, not both"),
        (["--to-size", "many"], "--to-size many is not a size"),
    ],
)
def test_what_is_to_be_deleted_has_to_be_said(platform: Any, cache: Path, arguments: list[str], words: str) -> None:
    code, _, err = platform("cache", "prune", *arguments)
    assert code == 2
    assert words in err
    assert len(list(cache.glob("volumes/*/*"))) == 4
