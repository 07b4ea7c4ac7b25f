"""BraTS as published in both its layouts: modalities, ids, regions, patients, and what is refused."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from medvid.config.examples import read_options
from medvid.data.splits import cases_of_run
from medvid.errors import DataError
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.plugin.host import make_host
from medvid.plugin.specs import DatasetSpec, ProtocolSpec
from medvid_brats.config import BratsOptions, HeadOptions
from medvid_brats.data import Brats
from medvid_brats.heads import draw, generate
from medvid_brats.names import patient_of, read_name

TINY = {"cases": 6, "test": 1, "shape": (14, 16, 12), "spacing": (8.0, 8.0, 8.0)}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same heads in both layouts."""
    folder = tmp_path_factory.mktemp("brats")
    for year in (2021, 2023):
        generate(folder / str(year), HeadOptions.model_validate(TINY | {"layout": year}))
    return folder


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    """A copy of the later layout that a test may change."""
    return Path(shutil.copytree(published / "2023", tmp_path / "2023"))


def opened(root: Path, **values: object) -> Brats:
    small = {"patch": {"size": [8, 8, 8], "per_case": 2}, "cache": root.parent / "cache"}
    return Brats(BratsOptions.model_validate({"root": root, **small, **values}))


def load(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def first(root: Path) -> Path:
    return min((root / "training").iterdir())


@pytest.mark.parametrize(
    ("name", "case", "part"),
    [
        ("BraTS20_Training_001_flair", "BraTS20_Training_001", "flair"),
        ("Brats18_TCIA02_135_1_t1ce", "Brats18_TCIA02_135_1", "t1ce"),
        ("BraTS2021_00000_seg", "BraTS2021_00000", "seg"),
        ("BraTS-GLI-00002-001-t1c", "BraTS-GLI-00002-001", "t1ce"),
        ("BraTS-MET-00002-000-t2f", "BraTS-MET-00002-000", "flair"),
    ],
)
def test_names_say_case_and_part(name: str, case: str, part: str) -> None:
    found = read_name(name)
    assert found
    assert (found.case, found.part, found.layout.file(case, part)) == (case, part, name)
    assert read_name("W39_1998.09.19_Segm") is None


@pytest.mark.parametrize(
    ("case", "patient"),
    [
        ("BraTS-GLI-00002-001", "BraTS-GLI-00002"),
        ("Brats18_TCIA02_135_1", "Brats18_TCIA02_135"),
        ("BraTS19_2013_10_1", "BraTS19_2013_10"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00000", "BraTS2021_00000"),
    ],
)
def test_times_of_a_patient(case: str, patient: str) -> None:
    assert patient_of(case) == patient


def test_both_layouts_are_the_same_task(published: Path, tmp_path: Path) -> None:
    """Though the enhancing tumour is 4 in files until 2022, in truth and answers alike."""
    earlier, later = (opened(published / year) for year in ("2021", "2023"))
    assert (earlier.options.enhancing_id, later.options.enhancing_id) == (4, 3)
    assert earlier.target_info == later.target_info
    assert later.target_info.names == ("WT", "TC", "ET")
    one, other = earlier.open_case("BraTS2021_00001"), later.open_case("BraTS-GLI-00001-000")
    assert [path.name for path in other.sources] == [
        f"BraTS-GLI-00001-000-{ending}.nii.gz" for ending in ("t1n", "t1c", "t2w", "t2f")
    ]
    assert one.input().shape[0] == 4
    np.testing.assert_array_equal(one.input(), other.input())
    truth = one.native_truth()
    np.testing.assert_array_equal(truth, other.native_truth())
    whole, core, enhancing = truth.sum(axis=(1, 2, 3)).tolist()
    assert whole > core > enhancing > 0
    for year, case in (("2021", one), ("2023", other)):
        [path] = case.write(truth, tmp_path / year)
        label = next((published / year).rglob(f"{case.id}?seg.nii.gz"))
        np.testing.assert_array_equal(load(path), load(label))
    assert set(np.unique(load(tmp_path / "2021/BraTS2021_00001.nii.gz"))) == {0, 1, 2, 4}


def test_classes_have_the_published_ids_again(published: Path, tmp_path: Path) -> None:
    case = opened(published / "2021", target="classes").open_case("BraTS2021_00000")
    assert set(np.unique(case.native_truth())) == {0, 1, 2, 3}
    assert set(np.unique(case.prepared_truth())) == {0, 1, 2, 3}
    [path] = case.write(case.native_truth(), tmp_path)
    np.testing.assert_array_equal(load(path), load(first(published / "2021") / "BraTS2021_00000_seg.nii.gz"))


@pytest.mark.parametrize(
    ("year", "given", "strange", "declared"),
    [("2023", {}, 4, "0, 1, 2, 3"), ("2021", {}, 3, "0, 1, 2, 4"), ("2021", {"enhancing_id": 3}, 4, "0, 1, 2, 3")],
)
def test_ids_of_other_years_are_refused(
    published: Path, tmp_path: Path, year: str, given: dict[str, object], strange: int, declared: str
) -> None:
    root = Path(shutil.copytree(published / year, tmp_path / "changed"))
    [label] = first(root).glob("*seg.nii.gz")
    ids = load(label).copy()
    ids[0, 0, 0] = strange
    nib.save(nib.Nifti1Image(ids, nib.load(label).affine), label)
    dataset = opened(root, **given)
    with pytest.raises(DataError, match=rf"has label {strange} \(\d+ voxels?\); the data set declares {declared} "):
        dataset.prepare([first(root).name], lambda *_: None)


def test_a_resection_cavity_is_a_region_of_its_own(root: Path) -> None:
    [label] = first(root).glob("*seg.nii.gz")
    ids = load(label).copy()
    ids[0, 0, 0] = 4
    nib.save(nib.Nifti1Image(ids, nib.load(label).affine), label)
    case = opened(root, resection_cavity=True).open_case(first(root).name)
    assert case.native_truth().sum(axis=(1, 2, 3))[3] == 1
    with pytest.raises(ValidationError, match="id 4 cannot be both"):
        opened(root, resection_cavity=True, enhancing_id=4)


def test_times_of_a_patient_stay_together(root: Path) -> None:
    times = ("BraTS-GLI-00003-000", "BraTS-GLI-00003-001")
    for seed in range(6):
        held_out = opened(root, validation_fraction=0.3, split_seed=seed).cases("validation")
        assert (times[0] in held_out) == (times[1] in held_out)
    with pytest.raises(DataError, match=r"others held out: BraTS-GLI-00003 \("):
        opened(root, split={"train": [times[0]], "validation": [times[1]]}).cases("train")


def test_grades_are_held_out_alike(published: Path, tmp_path: Path) -> None:
    for number, case in enumerate(sorted((published / "2021/training").iterdir())):
        shutil.copytree(case, tmp_path / "data" / ("HGG" if number < 4 else "LGG") / case.name)
    held_out = opened(tmp_path / "data", validation_fraction=0.5).cases("validation")
    assert [int(name[-1]) < 4 for name in held_out] == [True, True, False]


def test_cases_without_a_label_map_are_the_test_split(root: Path) -> None:
    dataset = opened(root)
    assert dataset.cases("test") == ("BraTS-GLI-00005-000",)
    assert dataset.index.notes == ("cases without a label map are the split test: BraTS-GLI-00005-000",)
    with pytest.raises(DataError, match="cannot be scored"):
        cases_of_run(dataset, "test")
    shutil.rmtree(root / "training")
    with pytest.raises(DataError, match=r"no case in .* has a label map"):
        opened(root).cases("train")


def test_a_label_map_of_another_name_is_named(root: Path) -> None:
    """As in one case of 2020."""
    [label] = first(root).glob("*seg.nii.gz")
    label.rename(label.with_name("W39_1998.09.19_Segm.nii.gz"))
    with pytest.raises(DataError, match="cases beside labelled ones have no label map: BraTS-GLI-00000-000-seg") as e:
        opened(root).cases("train")
    assert e.value.hint == "rename it, if it is W39_1998.09.19_Segm.nii.gz"


def test_missing_and_chosen_modalities(root: Path) -> None:
    [flair] = first(root).glob("*t2f.nii.gz")
    flair.unlink()
    with pytest.raises(DataError, match="files of modalities are missing: BraTS-GLI-00000-000-t2f"):
        opened(root).cases("train")
    two = opened(root, modalities=["t1ce", "t2"])
    assert two.input_info.channels == 2
    assert [path.name[-10:] for path in two.open_case(first(root).name).sources] == ["t1c.nii.gz", "t2w.nii.gz"]
    with pytest.raises(ValidationError, match="modalities has one twice"):
        opened(root, modalities=["t1", "t1"])


def test_other_folders_are_refused(published: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "nnunet/imagesTr").mkdir(parents=True)
    with pytest.raises(DataError, match="has no files named like CASE_flair") as refused:
        opened(tmp_path / "nnunet").cases("train")
    assert "dataset.name: nifti" in (refused.value.hint or "")
    shutil.copytree(published / "2021/training", root / "earlier")
    with pytest.raises(DataError, match="cases of two layouts, whose ids differ: BraTS"):
        opened(root).cases("train")
    with pytest.raises(ValidationError, match="leave out datalist"):
        opened(root, datalist="dataset.json")


def test_a_case_twice_is_refused(root: Path) -> None:
    shutil.copytree(first(root), root / "again" / first(root).name)
    with pytest.raises(DataError, match="cases with the same name"):
        opened(root).cases("train")


def test_cases_are_predicted_by_folder_or_by_one_of_their_files(root: Path, tmp_path: Path) -> None:
    dataset = opened(root)
    assert [case.id for case in dataset.open([root / "validation"])] == ["BraTS-GLI-00005-000"]
    [flair] = (root / "validation").rglob("*t2f.nii.gz")
    [case] = dataset.open([flair, flair.parent])
    assert case.input().shape[0] == 4
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no case named as in BraTS"):
        dataset.open([flair, tmp_path / "empty"])
    for number, ending in enumerate(("t1n", "t1c", "t2w", "t2f")):  # as nnU-Net names them
        [image] = flair.parent.glob(f"*-{ending}.nii.gz")
        shutil.copy(image, tmp_path / f"a_{number:04d}.nii.gz")
    [renamed] = dataset.open([tmp_path / "a_0000.nii.gz"])
    np.testing.assert_array_equal(renamed.input(), case.input())


def test_the_protocol_scores_the_regions_of_either_layout(published: Path) -> None:
    host = make_host()
    assert host.spec(DatasetSpec, "brats").demo
    case = opened(published / "2021").open_case("BraTS2021_00000")
    options = read_options(host, host.spec(ProtocolSpec, "brats"), {})
    protocol = host.build(options, opened(published / "2021").target_info)
    assert isinstance(protocol, LabelMapProtocol)
    rows = protocol.rows(case, case.native_truth(), ("WT", "TC", "ET"), final=True)
    assert [(row["label"], row["dice"], row["lesion_dice"]) for row in rows] == [
        (name, 1.0, 1.0) for name in ("WT", "TC", "ET")
    ]


def test_no_modality_tells_a_region_alone() -> None:
    """Not even by the range of intensities that suits it best in these very images, each scaled by its mean."""
    random = np.random.default_rng(0)
    drawn = [draw(HeadOptions(), random) for _ in range(6)]
    labels = np.stack([labels for _, labels in drawn]).ravel()
    for name, inside in (("whole", labels > 0), ("enhancing", labels == 3)):
        for modality in ("t1", "t1ce", "t2", "flair"):
            images = np.stack([images[modality] / images[modality][images[modality] > 0].mean() for images, _ in drawn])
            bins = np.digitize(images.ravel(), np.linspace(0, 3, 61))
            counts = np.stack([np.bincount(bins[there], minlength=62) for there in (inside, ~inside)])
            order = np.argsort(-counts[0] / counts.sum(axis=0).clip(1))
            hits, size = counts[0][order].cumsum(), counts.sum(axis=0)[order].cumsum()
            best = (2 * hits / (size + inside.sum())).max()
            assert best < 0.9, (name, modality, best)
