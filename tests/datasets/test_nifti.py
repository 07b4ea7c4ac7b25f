import importlib.util
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from medvid.data.volumes.description import describe
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import load_attribute
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI
from medvid_nifti.plugin import medvid_components


def options(root: Path, **values: object) -> NIfTIOptions:
    return NIfTIOptions.model_validate({"name": "nifti", "root": root, "cache": root / "cache", **values})


def write_cases(root: Path, *names: str, channels: int = 1) -> None:
    random = np.random.default_rng(0)
    shape = (10, 9, 8) if channels == 1 else (10, 9, 8, channels)
    for name in names:
        for folder, data in (("images", random.normal(50, 9, shape)), ("labels", random.integers(0, 2, shape[:3]))):
            (root / folder).mkdir(exist_ok=True)
            nib.save(
                nib.Nifti1Image(data.astype(np.float32), np.diag([2, 1, 1.5, 1])), root / folder / f"{name}.nii.gz"
            )


def test_the_specs_resolve() -> None:
    (spec,) = medvid_components()
    assert load_attribute(spec.target) is NIfTI
    assert load_attribute(spec.config) is NIfTIOptions


def test_labels_and_channels_come_from_the_task_or_from_the_folder(tmp_path: Path) -> None:
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "lesion": 1}}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    found = options(tmp_path, augment=())
    assert found.target_info().names == ("background", "lesion")
    assert found.input_info().channels == 2
    named = options(tmp_path, labels={"background": 0, "Lesion": 1}, channels=2, augment=())
    assert named.target_info().names == ("background", "Lesion")
    assert NIfTIOptions.model_validate(named.model_dump(mode="json")) == named
    resolved = found.model_dump(mode="json")
    (tmp_path / "dataset.json").unlink()
    assert NIfTIOptions.model_validate(resolved).target_info() == found.target_info()
    with pytest.raises(DataError, match=r"labels of the data set in .* are unknown") as caught:
        options(tmp_path).target_info()
    assert "dataset.labels" in caught.value.hint


@pytest.mark.parametrize(("option", "value"), [("labels", ["background", "tumour"]), ("channels", 3)])
def test_what_dataset_json_says_counts_unless_the_task_says_that_it_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str, value: object
) -> None:
    write_cases(tmp_path, "a", "b")
    content = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "lesion": 1}}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"dataset\.json .*(lesion|1 channels)") as caught:
        NIfTI(options(tmp_path, **{option: value})).cases("train")
    assert "ignore_description" in caught.value.hint
    overruled = {"labels": ["background", "lesion"], option: value, "ignore_description": True}
    assert len(NIfTI(options(tmp_path, **overruled)).cases("train")) == 1
    assert "labels and channels in dataset.json are ignored" in caplog.text


def test_regions_and_what_is_ignored_come_from_the_folder_or_from_the_task(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "regions_class_order": [1, 2]}))
    found = options(tmp_path, augment=())
    assert found.target_info() == TargetInfo("voxel", "labels", ("whole", "core"), has_unknown=True)
    assert found.label_scheme().painted == (1, 2)
    assert NIfTIOptions.model_validate(found.model_dump(mode="json")) == found
    named = options(tmp_path, labels={"background": 0, "Whole": [1, 2], "core": 2}, ignore=3)
    assert named.target_info().has_unknown
    assert named.label_scheme().painted == ()  # each region becomes a file
    named.check_description(describe(tmp_path))
    with pytest.raises(ValidationError, match=r"one id marks .* got \[\[3\], \[4\]\]"):
        options(tmp_path, ignore=4)
    for other in ({"labels": ["background", "whole"]}, {"labels": labels | {"core": 1}}, {"labels": named.labels}):
        with pytest.raises(DataError, match=r"the labels of dataset\.json contradict the task's"):
            options(tmp_path, **other).check_description(describe(tmp_path))


def test_only_regions_are_written_in_an_order(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="regions_class_order is for labels that are regions"):
        options(tmp_path, labels=["background", "lesion"], regions_class_order=[1])


@pytest.mark.parametrize(
    "labels", [{"background": 0, "tumour": 2}, ["background"], {"a": "b"}, 3, ["background", "ignore"]]
)
def test_unusable_labels_are_config_errors(tmp_path: Path, labels: object) -> None:
    with pytest.raises(ValidationError):
        options(tmp_path, labels=labels)


def test_a_share_of_the_cases_is_held_out_always_the_same(tmp_path: Path) -> None:
    names = [f"patient{number}" for number in range(10)]
    write_cases(tmp_path, *names)
    labels = ["background", "tumour"]
    dataset = NIfTI(options(tmp_path, labels=labels))
    train, validation = set(dataset.cases("train")), set(dataset.cases("validation"))
    assert len(validation) == 2
    assert train | validation == set(names)
    assert NIfTI(options(tmp_path, labels=labels)).cases("validation") == dataset.cases("validation")
    assert len(NIfTI(options(tmp_path, labels=labels, validation_fraction=0.5)).cases("validation")) == 5
    others = {NIfTI(options(tmp_path, labels=labels, split_seed=seed)).cases("validation") for seed in range(8)}
    assert len(others) > 1


def test_few_cases(tmp_path: Path) -> None:
    write_cases(tmp_path, "a")
    labels = ["background", "tumour"]
    with pytest.raises(DataError, match="at least 2 cases are required to hold one out, found 1") as caught:
        NIfTI(options(tmp_path, labels=labels)).cases("train")
    assert "train: [a], validation: [a]" in caught.value.hint
    write_cases(tmp_path, "b")
    assert len(NIfTI(options(tmp_path, labels=labels)).cases("validation")) == 1


def test_channels_of_a_four_dimensional_file(tmp_path: Path) -> None:
    write_cases(tmp_path, "a", "b", channels=2)
    dataset = NIfTI(options(tmp_path, labels=["background", "x"], channels=2, patch={"size": [8, 8, 8]}))
    assert dataset.draw("a", 0).input.shape == (4, 2, 8, 8, 8)
    with pytest.raises(DataError, match="has 2 channels, the data set declares 1"):
        NIfTI(options(tmp_path, labels=["background", "x"])).open_case("a").input()


@pytest.fixture
def brain(tmp_path: Path) -> Path:
    """The MNI152 template that nilearn ships, with grey and white matter (probability above 0.5) as labels."""
    spec = importlib.util.find_spec("nilearn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    data = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    image, grey, white = (
        nib.load(data / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz") for kind in ("t1", "gm", "wm")
    )
    probability = np.stack([np.asarray(tissue.dataobj, dtype=np.float32) for tissue in (grey, white)])
    half = probability.max() / 2
    labels = np.where(probability.max(axis=0) > half, probability.argmax(axis=0) + 1, 0).astype(np.uint8)
    for folder, content in (("images", image), ("labels", nib.Nifti1Image(labels, grey.affine))):
        (tmp_path / folder).mkdir()
        nib.save(content, tmp_path / folder / "mni152.nii.gz")
    return tmp_path


def test_a_real_scan_of_one_subject(brain: Path) -> None:
    """Shows that a scan medvid has never seen is read, prepared and mapped back; says nothing about other subjects."""
    one = {"train": ["mni152"], "validation": ["mni152"]}
    dataset = NIfTI(options(brain, labels=["background", "grey", "white"], split=one, spacing=[3, 3, 3]))
    dataset.prepare(dataset.cases("validation"), lambda *_: None)
    batch = dataset.draw("mni152", 0)
    assert set(batch.target.unique().tolist()) == {0, 1, 2}
    case = dataset.open_case("mni152")
    image, truth = case.input()[0].numpy(), case.prepared_truth()
    assert image[truth == 2].mean() > image[truth == 1].mean() + 0.1  # white matter is brighter on T1
    native, prepared = np.bincount(case.native_truth().ravel())[1:], np.bincount(truth.ravel())[1:]
    volume = np.prod(case.grid.native_spacing) / 27
    np.testing.assert_allclose(prepared, native * volume, rtol=0.03)
