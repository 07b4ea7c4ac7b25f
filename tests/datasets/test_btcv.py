import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medvid.errors import DataError
from medvid.plugin.specs import load_attribute
from medvid_btcv.config import LABELS, BTCVOptions, PhantomOptions
from medvid_btcv.data import BTCV
from medvid_btcv.phantoms import generate
from medvid_btcv.plugin import medvid_components

NUMBERS = (*range(1, 11), *range(21, 41))
TINY = PhantomOptions(train=2, validation=1, shape=(40, 32, 20), spacing=(7.8, 7.8, 10.0))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("btcv") / "demo"
    generate(folder, TINY)
    return folder


def options(root: Path, **values: object) -> BTCVOptions:
    return BTCVOptions.model_validate({"name": "btcv", "root": root, "cache": root.parent / "cache", **values})


def small(root: Path) -> BTCVOptions:
    return options(root, spacing=[8, 8, 8], patch={"size": [16, 16, 16], "per_case": 2})


def test_the_published_recipe_is_the_default() -> None:
    defaults = options(Path("data/btcv"))
    assert defaults.spacing == (1.5, 1.5, 2.0)
    assert defaults.window == (-175, 250)
    assert defaults.normalize == "window"
    patch = defaults.patch
    assert (patch.size, patch.per_case, patch.centres) == ((96, 96, 96), 4, "voxels")
    assert (patch.positive, patch.negative) == (1, 1)
    assert [each.model_dump() for each in defaults.augment] == [
        {"name": "flip", "axes": ("R", "A", "S"), "probability": 0.2},
        {"name": "rotate90", "probability": 0.2},
        {"name": "scale_intensity", "range": 0.1, "probability": 0.1},
        {"name": "shift_intensity", "range": 0.1, "probability": 0.1},
    ]
    assert defaults.target_info().names == LABELS
    assert (LABELS[1], LABELS[6], LABELS[13], len(LABELS)) == ("spleen", "liver", "left_adrenal", 14)


def test_the_specs_resolve() -> None:
    spec, *_ = medvid_components()
    assert load_attribute(spec.target) is BTCV
    assert load_attribute(spec.config) is BTCVOptions
    assert load_attribute(spec.demo) is generate
    assert load_attribute(spec.demo_config) is PhantomOptions


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("img/img{:04d}.nii.gz", "label/label{:04d}.nii.gz"),
        ("imagesTr/img{:04d}.nii.gz", "labelsTr/label{:04d}.nii.gz"),
        ("imagesTr/BTCV_{:03d}_0000.nii.gz", "labelsTr/BTCV_{:03d}.nii.gz"),
    ],
)
def test_the_published_split_in_every_layout(tmp_path: Path, image: str, label: str) -> None:
    for number in NUMBERS:
        for pattern in (image, label):
            path = tmp_path / pattern.format(number)
            path.parent.mkdir(exist_ok=True)
            path.touch()
    dataset = BTCV(options(tmp_path))
    assert len(dataset.cases("train")) == 24
    assert len(dataset.cases("validation")) == 6
    assert dataset.cases("train")[10].endswith("21")
    assert [int(case[-2:]) for case in dataset.cases("validation")] == [35, 36, 37, 38, 39, 40]


def test_a_datalist_decides_the_split(demo: Path) -> None:
    dataset = BTCV(options(demo))
    assert dataset.cases("train") == ("img0001", "img0002")
    assert dataset.cases("validation") == ("img0003",)


def test_missing_cases_of_the_published_split_are_named(tmp_path: Path) -> None:
    for kind in ("img", "label"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{kind}0001.nii.gz").touch()
    with pytest.raises(DataError, match=r"needs 29 cases that are not in .*: img0002, img0003.* and 19 more") as caught:
        BTCV(options(tmp_path)).cases("train")
    assert "dataset.split" in caught.value.hint


def test_two_cases_of_one_number_are_no_published_split(tmp_path: Path) -> None:
    for kind in ("img", "label"):
        (tmp_path / kind).mkdir()
        for name in (*(f"{kind}{number:04d}" for number in NUMBERS), "scan0007"):
            (tmp_path / kind / f"{name}.nii.gz").touch()
    with pytest.raises(DataError, match="img0007 and scan0007 have the same number"):
        BTCV(options(tmp_path)).cases("train")


def test_labels_of_a_datalist_may_have_other_names_but_not_another_order(
    demo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = json.loads((demo / "dataset_0.json").read_text())
    content["labels"] |= {"2": "rkid"}
    (demo / "mine.json").write_text(json.dumps(content))
    (demo / "dataset_0.json").rename(demo / "dataset_0.json.old")
    try:
        assert BTCV(options(demo, datalist="mine.json")).cases("validation")
        assert "mine.json has other names for labels: 2 is 'rkid', not 'right_kidney'" in caplog.text
        content["labels"] |= {"2": "left_kidney", "3": "right_kidney"}
        (demo / "mine.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="2 is 'left_kidney', not 'right_kidney'"):
            BTCV(options(demo, datalist="mine.json")).cases("validation")
    finally:
        (demo / "dataset_0.json.old").rename(demo / "dataset_0.json")
        (demo / "mine.json").unlink()


def test_the_sample_goes_through_like_the_real_data(demo: Path) -> None:
    dataset = BTCV(small(demo))
    dataset.prepare([*dataset.cases("train"), *dataset.cases("validation")], lambda *_: None)
    batch = dataset.draw("img0001", 0)
    assert batch.input.shape == (2, 1, 16, 16, 16)
    assert 0 <= batch.input.min() < batch.input.max() <= 1.2
    assert batch.target.max() > 0
    case = dataset.open_case("img0003")
    assert set(np.unique(case.native_truth())) == set(range(14))
    assert case.grid.prepared_spacing == pytest.approx((8, 8, 8))
    assert nib.aff2axcodes(nib.load(demo / "img" / "img0003.nii.gz").affine)[0] == "L"
    assert case.grid.scale[0] < 0


PROGRAM = """
import hashlib, json, sys
from medvid_btcv.config import BTCVOptions
from medvid_btcv.data import BTCV
batch = BTCV(BTCVOptions.model_validate(json.loads(sys.argv[1]))).draw("img0002", 2**62 + 5)
print(hashlib.sha256(batch.input.numpy().tobytes() + batch.target.numpy().tobytes()).hexdigest())
"""


def test_the_same_seed_gives_the_same_sample_in_another_process(demo: Path) -> None:
    settings = small(demo)
    batch = BTCV(settings).draw("img0002", 2**62 + 5)
    here = hashlib.sha256(batch.input.numpy().tobytes() + batch.target.numpy().tobytes()).hexdigest()
    command = [sys.executable, "-c", PROGRAM, json.dumps(settings.model_dump(mode="json", exclude={"augment"}))]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == here


def test_a_label_id_that_btcv_does_not_have(demo: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(demo, tmp_path / "data"))
    path = root / "label" / "label0002.nii.gz"
    image = nib.load(path)
    labels = np.asarray(image.dataobj).copy()
    labels[:2, :3, :2] = 14
    nib.save(nib.Nifti1Image(labels, image.affine, image.header), path)
    dataset = BTCV(small(root))
    with pytest.raises(DataError, match=r"case img0002 has label 14 \(12 voxels\); the data set declares 0\.\.13"):
        dataset.prepare(dataset.cases("train"), lambda *_: None)


def test_the_light_side_imports_nothing_heavy() -> None:
    program = (
        "import sys, medvid_btcv.plugin, medvid_btcv.config, medvid_nifti.plugin, medvid_nifti.config\n"
        "print(sorted({'torch', 'numpy', 'monai', 'nibabel', 'mlflow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
