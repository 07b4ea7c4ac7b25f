import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from medvid.data.splits import cases_of_run
from medvid.errors import DataError
from medvid.plugin.host import make_host
from medvid.plugin.specs import DatasetSpec, load_attribute
from medvid_cardiac.config import LABELS, ACDCOptions, HeartOptions
from medvid_cardiac.data import ACDC
from medvid_cardiac.hearts import ES, Heart, frame_of, generate
from medvid_cardiac.patients import GROUPS

TINY = HeartOptions(train=10, test=2, shape=(24, 20, 5), spacing=(6.0, 7.0, 10.0))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("acdc") / "database"
    generate(folder, TINY)
    return folder


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(published, tmp_path / "database"))


def options(root: Path, **values: object) -> ACDCOptions:
    small = {"spacing": [6, 7, 10], "patch": {"size": [16, 16, 8], "per_case": 2}}
    return ACDCOptions.model_validate({"name": "acdc", "root": root, "cache": root.parent / "cache", **small, **values})


def opened(root: Path, **values: object) -> ACDC:
    return ACDC(options(root, **values))


def change(root: Path, patient: str, old: str, new: str) -> None:
    [info] = root.rglob(f"{patient}/Info.cfg")
    text = info.read_text()
    assert old in text
    info.write_text(text.replace(old, new))


def test_the_spec_resolves() -> None:
    spec = make_host().spec(DatasetSpec, "acdc")
    assert load_attribute(spec.target) is ACDC
    assert load_attribute(spec.demo) is generate
    assert LABELS == ("background", "right_ventricle", "myocardium", "left_ventricle")


def test_a_case_is_a_patient_and_a_phase(root: Path) -> None:
    dataset = opened(root)
    assert len(dataset.cases("train")) + len(dataset.cases("validation")) == 20
    assert dataset.cases("test") == ("patient101_ED", "patient101_ES", "patient102_ED", "patient102_ES")
    case = dataset.open_case("patient003_ES")
    assert [path.name for path in case.sources] == [f"patient003_frame{ES:02d}.nii.gz"]
    assert set(np.unique(case.native_truth())) == {0, 1, 2, 3}
    assert dataset.draw("patient003_ES", 0).input.shape == (2, 1, 16, 16, 8)
    assert dataset.index.notes == ()


def test_info_says_which_frames_they_are(root: Path) -> None:
    """Also if ES comes first, as frame 5, and ED as frame 12."""
    for old, new in (("frame01", "frame12"), (f"frame{ES:02d}", "frame05")):
        for path in (root / "training" / "patient001").glob(f"*_{old}*"):
            path.rename(path.with_name(path.name.replace(old, new)))
    change(root, "patient001", f"ED: 1\nES: {ES}", "ED: 12\nES: 5")
    change(root, "patient001", "NbFrame: 6", "NbFrame: 30")
    dataset = opened(root)
    assert dataset.files("patient001_ED").images[0].name == "patient001_frame12.nii.gz"
    assert dataset.files("patient001_ES").label.name == "patient001_frame05_gt.nii.gz"


def test_patients_are_held_out_whole_and_of_each_diagnosis(published: Path) -> None:
    dataset = opened(published, validation_fraction=0.5)
    held_out = {case.rpartition("_")[0] for case in dataset.cases("validation")}
    assert dataset.cases("validation") == tuple(
        f"{name}_{phase}" for name in sorted(held_out) for phase in ("ED", "ES")
    )
    assert {int(name[-3:]) % len(GROUPS) for name in held_out} == set(range(len(GROUPS)))
    assert not {case.rpartition("_")[0] for case in dataset.cases("train")} & held_out
    other = opened(published, validation_fraction=0.5, split_seed=1)
    assert other.cases("validation") != dataset.cases("validation")


def test_a_patient_on_both_sides_is_refused(published: Path) -> None:
    split = {"train": ["patient001_ED"], "validation": ["patient001_ES"]}
    with pytest.raises(DataError, match=r"trained on and others held out: patient001 \(patient001_ED, patient001_ES"):
        opened(published, split=split).cases("train")
    with pytest.raises(DataError, match="patient999_ED"):
        opened(published, split={"train": ["patient999_ED"]}).cases("train")


def test_patients_without_folders_for_the_splits(published: Path, root: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for patient in root.glob("*/patient*"):
        patient.rename(flat / patient.name)
    assert opened(flat).splits == opened(published).splits


def test_the_test_set_has_no_labels(root: Path) -> None:
    for path in (root / "testing").rglob("*_gt.nii.gz"):
        path.unlink()
    dataset = opened(root)
    assert len(dataset.cases("test")) == 4
    assert not set(dataset.cases("test")) & set(dataset.labelled())
    with pytest.raises(DataError, match="4 of 4 cases of the split 'test' cannot be scored"):
        cases_of_run(dataset, "test")
    (root / "training" / "patient001" / f"patient001_frame{ES:02d}_gt.nii.gz").unlink()
    with pytest.raises(DataError, match="cases without labels: patient001_ES"):
        opened(root, validation_fraction=0).cases("train")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ED: 1\n", "", "does not say which frame is ED"),
        ("ED: 1\n", "ED: 0\n", r"Info\.cfg:1:ED: '0' is not the number of a frame, of which there are 6"),
        ("ED: 1\n", "ED: one\n", r"Info\.cfg:1:ED: 'one' is not the number of a frame"),
        ("ES: 4\n", "ES: 7\n", r"Info\.cfg:2:ES: '7' is not the number of a frame"),
        ("ES: 4\n", "ES: 3\n", r"Info\.cfg:2:ES: there is no patient002_frame03; there are frames 1, 4"),
        ("ES: 4\n", "ES: 1\n", r"Info\.cfg:2:ES: ED and ES are both frame 1"),
        ("ED: 1\n", "ED 1\n", r"Info\.cfg:1: 'ED 1' is not `key: value`"),
        ("ES: 4\n", "ES: 4\n\nED: 2\n", r"Info\.cfg:4: ED is there twice"),
    ],
)
def test_wrong_frame_numbers(root: Path, old: str, new: str, message: str) -> None:
    change(root, "patient002", old, new)
    with pytest.raises(DataError, match=message):
        opened(root).cases("train")


def test_info_of_other_systems(root: Path) -> None:
    info = root / "training" / "patient002" / "Info.cfg"
    info.write_bytes(b"\xef\xbb\xbf" + info.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert "patient002_ES" in opened(root).labelled()


def test_a_missing_info(root: Path) -> None:
    (root / "training" / "patient002" / "Info.cfg").unlink()
    with pytest.raises(DataError, match=r"patient002/Info\.cfg does not exist: nothing else says which frames"):
        opened(root).cases("train")


def test_a_series_alone(root: Path) -> None:
    for path in (root / "testing" / "patient101").glob("*_frame*"):
        path.unlink()
    with pytest.raises(DataError, match=r"patient101 has no single frames, patient101_frame01\.nii\.gz") as refused:
        opened(root).cases("train")
    assert "4D series" in refused.value.hint


def test_other_folders_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folders patient001, patient002"):
        opened(tmp_path).cases("train")
    shutil.copytree(root / "training" / "patient001", root / "testing" / "patient001")
    with pytest.raises(DataError, match="patients with the same name"):
        opened(root).cases("train")
    shutil.rmtree(root / "training")
    with pytest.raises(DataError, match="has test patients, but none to train on"):
        opened(root).cases("train")


def test_a_frame_twice_and_files_that_belong_to_nothing(root: Path) -> None:
    frame = root / "training" / "patient001" / "patient001_frame01.nii.gz"
    shutil.copy(frame, frame.with_name("patient001_frame03.nii.gz"))
    [note] = opened(root).index.notes
    assert note.startswith("1 file in ")
    assert "training/patient001/patient001_frame03.nii.gz" in note
    frame.with_name("patient001_frame01.nii").write_bytes(gzip.decompress(frame.read_bytes()))
    with pytest.raises(DataError, match="frames with the same name"):
        opened(root).cases("train")


def test_options_of_other_layouts_are_refused(published: Path) -> None:
    with pytest.raises(ValidationError, match="leave out folder_layout and datalist"):
        options(published, folder_layout="nnunet", datalist="dataset.json")


def test_a_patients_folder_is_predicted_frame_by_frame(published: Path) -> None:
    cases = opened(published).open([published / "testing" / "patient101"])
    assert [case.id for case in cases] == ["patient101_frame01", f"patient101_frame{ES:02d}"]
    [one] = opened(published).open([published / "testing" / "patient101" / "patient101_frame01.nii.gz"])
    assert one.input().shape[0] == 1


def test_hearts_contract_and_differ() -> None:
    sizes = {}
    for group in GROUPS:
        random = np.random.default_rng(0)
        heart = Heart.draw(group, random)
        sizes[group] = [np.bincount(frame_of(heart, at, HeartOptions(), random)[1].ravel()) for at in (0.0, 1.0)]
    for group, (ed, es) in sizes.items():
        assert es[3] < 0.8 * ed[3], group  # the left ventricle empties
        assert es[1] < ed[1], group
        assert 0.75 < es[2] / ed[2] < 1.25, group  # muscle keeps its volume
    assert 1 - sizes["DCM"][1][3] / sizes["DCM"][0][3] < 0.35 < 1 - sizes["NOR"][1][3] / sizes["NOR"][0][3]


def test_intensity_alone_cannot_tell_the_structures() -> None:
    """Not even if each label gets the range of intensities that suits it best in these very images."""
    random = np.random.default_rng(0)
    drawn = [frame_of(Heart.draw(group, random), at, HeartOptions(), random) for group in GROUPS for at in (0.0, 1.0)]
    images, labels = (np.stack(arrays).ravel() for arrays in zip(*drawn, strict=True))
    counts = np.stack([np.bincount(images[labels == label], minlength=401) for label in range(4)])
    best = []
    for label in (1, 2, 3):
        order = np.argsort(-counts[label] / np.maximum(counts.sum(axis=0), 1))
        hits, size = counts[label][order].cumsum(), counts.sum(axis=0)[order].cumsum()
        best.append((2 * hits / (size + counts[label].sum())).max())
    assert np.mean(best) < 0.5
    assert max(best) < 0.6
