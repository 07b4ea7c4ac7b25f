"""Every enabled component is held to the conformance kit."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from medvid.plugin.host import make_host
from medvid.plugin.specs import DatasetSpec
from medvid.testing import ComponentCheck, all_components, parametrize_with_checks

HOST = make_host()


def _generated(name: str, folder: Path) -> Path:
    """The sample of a data set that can generate one, at the size of its example."""
    spec = HOST.spec(DatasetSpec, name)
    options = HOST.load(spec, spec.demo_config).model_validate(spec.examples[0].generate)
    HOST.load(spec, spec.demo)(folder / name, options)
    return folder / name


def _something_something(folder: Path, videos: Path) -> Path:
    """Videos in Something-Something's axes."""
    folder.mkdir()
    templates = sorted(path.name for path in (videos / "train").iterdir())
    (folder / "labels.json").write_text(json.dumps({name: str(number) for number, name in enumerate(templates)}))
    number = 0
    for split in ("train", "val"):
        records = []
        for path in sorted((videos / split).glob("*/*.mp4")):
            number += 1
            shutil.copy(path, folder / f"{number}.mp4")
            records.append({"id": str(number), "template": path.parent.name})
        name = {"val": "validation"}.get(split, split)
        (folder / f"{name}.json").write_text(json.dumps(records))
    return folder


@pytest.fixture(scope="session")
def data_folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A folder of each data set, made once; those without a generator are of the kind that another one generates."""
    folder = tmp_path_factory.mktemp("data")
    generated = [spec.name for spec in all_components(HOST) if isinstance(spec, DatasetSpec) and spec.demo]
    folders = {name: _generated(name, folder) for name in generated}
    videos, volumes = folders["kinetics"], folders["btcv"]
    return folders | {
        "nifti": volumes,
        "videos": videos,
        "labelled_frames": folders["cholec80"],
        "ssv2": _something_something(folder / "ssv2", videos),
    }


@parametrize_with_checks(host=HOST)
def test_conformance(check: ComponentCheck, data_folders: Mapping[str, Path]) -> None:
    replace(check, data=data_folders.get(check.spec.name))()
