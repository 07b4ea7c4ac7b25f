"""CAMUS in both published layouts: views and phases, lists of patients, quality, planes as volumes, what is refused."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.reading import read
from medvid.errors import DataError
from medvid.evaluation.metrics.label_maps import LabelMaps
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo
from medvid.testing.evaluation import make_evaluator
from medvid_cardiac.echo_config import LABELS, CAMUSOptions, EchoOptions
from medvid_cardiac.echo_data import CAMUS
from medvid_cardiac.echoes import EchoHeart, draw_echo, generate

REAL = Path(__file__).parents[1] / "parity/fixtures/formats/camus/database_nifti"
TINY = EchoOptions(train=3, validation=1, test=1, shape=(40, 32), spacing=(4.0, 4.0))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camus") / "CAMUS_public"
    generate(folder, TINY)
    return folder


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(published, tmp_path / "CAMUS_public"))


def opened(root: Path, **values: object) -> CAMUS:
    small = {"patch": {"size": [16, 16, 1], "per_case": 2}, "spacing": [4, 4, 1], "cache": root.parent / "cache"}
    return CAMUS(CAMUSOptions.model_validate({"root": root, **small, **values}))


def test_a_case_is_an_image_of_a_view_at_a_phase(tmp_path: Path) -> None:
    """In files as published: planes, with sequences beside them."""
    folder = Path(shutil.copytree(REAL, tmp_path / "database_nifti"))
    dataset = opened(folder, validation_fraction=0, spacing=None)
    names = [f"patient0001_{view}_{phase}" for view in ("2CH", "4CH") for phase in ("ED", "ES")]
    assert list(dataset.cases("train")) == names
    [note] = dataset.index.notes
    assert note.startswith("4 files in ")
    assert "left out, a sequence, not ED or ES" in note
    case = dataset.open_case(names[0])
    assert (case.patient, case.groups) == ("patient0001", ("2CH", "ED"))
    stored = nib.load(folder / "patient0001/patient0001_2CH_ED_gt.nii.gz")
    np.testing.assert_array_equal(case.native_truth()[..., 0], np.asanyarray(stored.dataobj))
    assert case.grid.native_shape == (20, 24, 1)
    np.testing.assert_allclose(case.grid.native_spacing[:2], (0.308, 0.154), rtol=1e-5)
    [path] = case.write(case.native_truth(), tmp_path)
    written = nib.load(path)
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), case.native_truth())
    np.testing.assert_allclose(written.header["pixdim"], stored.header["pixdim"])
    np.testing.assert_array_equal(dataset.draw(names[0], 0).input.shape, (2, 1, 16, 16, 1))


def test_lists_say_where_patients_belong(published: Path, root: Path) -> None:
    for place in (published, published / "database_nifti"):
        dataset = opened(place)
        assert {case.partition("_")[0] for case in dataset.cases("train")} == {f"patient000{n}" for n in (1, 2, 3)}
        assert dataset.cases("validation") == opened(published).cases("validation")
        assert len(dataset.cases("test")) == 4
    listed = root / "database_split" / "subgroup_training.txt"
    listed.write_bytes(b"\xef\xbb\xbfpatient0001\r\n\r\npatient0002\r\npatient0099\r\n")
    dataset = opened(root)
    assert len(dataset.cases("train")) == 8
    assert dataset.index.notes == ("patients of the lists are not there: patient0099",)
    listed.write_text("patient0001\npatient0005\n")
    with pytest.raises(DataError, match=r"the lists in .*database_split have patients twice: patient0005"):
        opened(root).cases("train")
    listed.write_text("patient0001\nFIVE\n")
    with pytest.raises(DataError, match=r"subgroup_training.txt:2: 'FIVE' is not the name of a patient"):
        opened(root).cases("train")


def test_without_lists_patients_are_held_out_whole(root: Path) -> None:
    shutil.rmtree(root / "database_split")
    dataset = opened(root, validation_fraction=0.4)
    sides = [{case.partition("_")[0] for case in dataset.cases(split)} for split in ("train", "validation")]
    assert [len(side) for side in sides] == [3, 2]
    assert not sides[0] & sides[1]
    split = {"train": ["patient0001_2CH_ED"], "validation": ["patient0001_4CH_ED"]}
    with pytest.raises(DataError, match=r"trained on and others held out: patient0001 \("):
        opened(root, split=split).cases("train")


def test_views_phases_and_quality_are_chosen(root: Path) -> None:
    assert all("4CH_ES" in case for case in opened(root, views=["4CH"], phases=["ES"]).cases("train"))
    info = root / "database_nifti/patient0001/Info_2CH.cfg"
    info.write_text(info.read_text().replace("ImageQuality: Medium", "ImageQuality: poor"))
    good = opened(root, quality=["Medium", "Good"])
    assert good.cases("train") == tuple(f"patient000{n}_{view}" for n, view in _good())
    info.unlink()
    assert opened(root).cases("train")
    with pytest.raises(DataError, match=r"Info_2CH.cfg does not exist: nothing else says how good its images are"):
        opened(root, quality=["Good"]).cases("train")
    info.write_text("ED: 1\n")
    with pytest.raises(DataError, match=r"Info_2CH.cfg does not say the ImageQuality"):
        opened(root, quality=["Good"]).cases("train")


def _good() -> list[tuple[int, str]]:
    """Patient 1 is of medium quality but for the view that is changed, 2 poor, 3 good."""
    views = {1: ("4CH",), 3: ("2CH", "4CH")}
    return [(n, f"{view}_{phase}") for n, own in views.items() for view in own for phase in ("ED", "ES")]


def test_the_first_release(tmp_path: Path) -> None:
    """Folders of the splits, .mhd files, and test patients without label maps."""
    random = np.random.default_rng(0)
    for split, name, is_labelled in (("training", "patient0001", True), ("testing", "patient0002", False)):
        folder = tmp_path / "data" / split / name
        folder.mkdir(parents=True)
        image, labels = draw_echo(EchoHeart.draw(random), "2CH", "ED", TINY, random)
        for stem, data in ((f"{name}_2CH_ED", image), *(((f"{name}_2CH_ED_gt", labels),) if is_labelled else ())):
            header = "ObjectType = Image\nNDims = 3\nDimSize = 40 32 1\nElementSpacing = 0.154 0.308 1\n"
            header += f"ElementType = MET_UCHAR\nElementDataFile = {stem}.raw\n"
            (folder / f"{stem}.mhd").write_text(header)
            (folder / f"{stem}.raw").write_bytes(data.tobytes(order="F"))
    dataset = opened(tmp_path / "data", validation_fraction=0, spacing=None)
    assert (dataset.cases("train"), dataset.cases("test")) == (("patient0001_2CH_ED",), ("patient0002_2CH_ED",))
    assert dataset.labelled() == ("patient0001_2CH_ED",)
    assert dataset.index.notes == (
        "images are not there: patient0001_2CH_ES, patient0001_4CH_ED, patient0001_4CH_ES, patient0002_2CH_ES, "
        "patient0002_4CH_ED, patient0002_4CH_ES",
    )
    assert set(np.unique(dataset.open_case("patient0001_2CH_ED").native_truth())) == {0, 1, 2, 3}


def test_other_folders_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no folders patient0001, patient0002"):
        opened(tmp_path / "empty").cases("train")
    with pytest.raises(ValidationError, match="leave out datalist"):
        opened(root, datalist="dataset.json")
    image = root / "database_nifti/patient0001/patient0001_2CH_ED.nii.gz"
    nib.save(nib.load(image), image.with_suffix(""))
    with pytest.raises(DataError, match="images with the same name"):
        opened(root).cases("train")


def test_a_patients_folder_is_predicted_image_by_image(published: Path) -> None:
    cases = list(opened(published).open([published / "database_nifti/patient0001"]))
    assert [case.id for case in cases] == [
        f"patient0001_{view}_{phase}" for view in ("2CH", "4CH") for phase in ("ED", "ES")
    ]
    assert cases[0].input().shape[0] == 1


def test_planes_of_a_nifti_file_are_one_slice(tmp_path: Path) -> None:
    nib.save(
        nib.Nifti1Image(np.arange(12, dtype=np.int16).reshape(4, 3), np.diag([2.0, 3.0, 1.0, 1.0])), tmp_path / "a.nii"
    )
    volume = read(shipped_formats(), tmp_path / "a.nii", "a")
    assert (volume.data.shape, volume.geometry.spacing) == ((4, 3, 1), (2.0, 3.0, 1.0))
    assert volume.notes == ("is a single plane, taken as a volume with one slice",)
    nib.save(nib.Nifti1Image(np.zeros(5, np.int16), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(DataError, match=r"b.nii has shape \(5,\)"):
        read(shipped_formats(), tmp_path / "b.nii", "b")


def test_surfaces_of_one_slice_are_those_of_the_plane(published: Path) -> None:
    """A voxel inside of a structure is not on its surface though nothing lies above it."""
    case = opened(published, spacing=None).open_case("patient0003_2CH_ED")
    truth = case.native_truth()
    moved = np.roll(truth, 3, axis=0)
    scorer = make_evaluator(make_host(), InputInfo("volume", 1, (16, 16, 1)), opened(published).target_info).scorer
    protocol = scorer._protocol  # type: ignore[attr-defined]
    assert isinstance(protocol, LabelMapProtocol)
    [ventricle, *_] = protocol.rows(case, moved, LABELS, final=True)
    assert ventricle["hd95_mm"] == pytest.approx(12.0)
    maps, spacing = LabelMaps.of(moved, truth, LABELS).in_plane((4.0, 4.0, 1.0))
    assert (maps.truth.shape, spacing) == ((40, 32), (4.0, 4.0))


def test_hearts_contract_and_intensity_alone_cannot_tell_the_structures() -> None:
    random = np.random.default_rng(0)
    heart = EchoHeart.draw(random)
    drawn = {phase: draw_echo(heart, "4CH", phase, EchoOptions(), random) for phase in ("ED", "ES")}
    ed, es = (np.bincount(labels.ravel()) for _, labels in drawn.values())
    assert es[1] < 0.85 * ed[1]
    assert 0.7 < es[2] / ed[2] < 1.1
    image, labels = drawn["ED"]
    for label in (1, 2, 3):
        inside, all_of = (np.bincount(part, minlength=256) for part in (image[labels == label], image.ravel()))
        order = np.argsort(-inside / all_of.clip(1))
        hits, size = inside[order].cumsum(), all_of[order].cumsum()
        assert (2 * hits / (size + inside.sum())).max() < 0.75, label
