"""ChestX-ray14 and CheXpert in the layouts in which they unpack."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medvid.config.examples import read_options
from medvid.errors import DataError
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import DatasetSpec
from medvid_images.data import Images

HOST = make_host()
NIH = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,OriginalImage[Width,Height],
00000001_000.png,Cardiomegaly,0,1,58,2682,2749,
00000001_001.png,Cardiomegaly|Emphysema,1,1,58,2894,2729,
00000002_000.png,No Finding,0,2,81,2500,2048,
00000003_000.png,Hernia,0,3,81,2582,2991,
00000004_000.png,Mass,0,4,82,2500,2048,
"""
CHEXPERT = """Path,Sex,Age,Frontal/Lateral,AP/PA,Cardiomegaly,Edema
CheXpert-v1.0-small/{}/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,
CheXpert-v1.0-small/{}/study1/view2_lateral.jpg,Female,87,Lateral,,0.0,1.0
CheXpert-v1.0-small/{}/study2/view1_frontal.jpg,Female,87,Frontal,AP,-1.0,-1.0
"""


def opened(root: Path, name: str, **options: Any) -> Images:
    dataset: Images = HOST.build(read_options(HOST, HOST.spec(DatasetSpec, name), {"root": str(root), **options}))
    return dataset


def paint(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(str(path))).integers(0, 255, (9, 9), np.uint8)).save(path)


def nih(root: Path) -> Path:
    (root / "Data_Entry_2017.csv").write_text(NIH)
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000002_000.png\n00000003_000.png")
    (root / "test_list.txt").write_text("00000004_000.png\n")
    for number, line in enumerate(NIH.splitlines()[1:]):
        paint(root / f"images_{number % 2 + 1:03d}" / "images" / line.partition(",")[0])
    return root


def test_chestxray14_as_it_unpacks(tmp_path: Path) -> None:
    data = opened(nih(tmp_path), "nih_chestxray14", validation_fraction=0.3)
    names = data.target_info.names
    assert len(names) == 14
    both = data.open_case("00000001_001.png")
    assert both.target is not None
    assert {name for name, value in zip(names, both.target.tolist(), strict=True) if value} == {
        "Cardiomegaly",
        "Emphysema",
    }
    assert both.patient == "1"  # type: ignore[attr-defined]
    assert both.input().shape == (3, 224, 224)
    assert data.cases("test") == ("00000004_000.png",)
    held_out, trained = ({data.answered(case).patient for case in data.cases(s)} for s in ("validation", "train"))
    assert len(held_out) == 1
    assert not held_out & trained


def test_a_finding_that_there_is_not_and_a_missing_list_are_named(tmp_path: Path) -> None:
    root = nih(tmp_path)
    (root / "Data_Entry_2017.csv").write_text(NIH.replace("Hernia", "Hernias"))
    with pytest.raises(DataError, match=r"Data_Entry_2017.csv:5: column Finding Labels: Hernias is not a finding"):
        _ = opened(root, "nih_chestxray14").index
    (root / "Data_Entry_2017.csv").write_text(NIH)
    (root / "test_list.txt").unlink()
    with pytest.raises(DataError, match=r"test_list.txt does not exist"):
        _ = opened(root, "nih_chestxray14").index


def test_chexpert_as_it_unpacks(tmp_path: Path) -> None:
    for table, people in (("train", ("train/patient00001", "train/patient00002")), ("valid", ("valid/patient64541",))):
        text = CHEXPERT.format(people[0], people[0], people[-1]) if len(people) > 1 else CHEXPERT.format(*people * 3)
        (tmp_path / f"{table}.csv").write_text(text)
        for line in text.splitlines()[1:]:
            paint(tmp_path / line.partition(",")[0].partition("/")[2])
    findings = {"label_columns": ["Cardiomegaly", "Edema"]}
    data = opened(tmp_path, "chexpert", **findings)
    assert {split: len(cases) for split, cases in data.splits.items()} == {"train": 2, "validation": 2}
    first, second = (data.answered(case) for case in data.cases("train"))
    assert (first.answer, first.patient) == ((1.0, 0.0), "patient00001")  # not mentioned: absent
    assert (second.answer, second.patient) == ((UNKNOWN, UNKNOWN), "patient00002")
    assert data.target_info.has_unknown
    policy = opened(tmp_path, "chexpert", **findings, uncertain={"Edema": "ones"}, projections="all")
    assert policy.answered(policy.cases("train")[2]).answer == (UNKNOWN, 1.0)
    assert len(policy.cases("train")) == 3
