import gzip
import json
import logging
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import pytest
import torch

from medvid.data.batch import Batch
from medvid.data.transforms.outside import ZeroOutside
from medvid.data.transforms.scan_options import SpatialOptions, ZeroOutsideOptions
from medvid.data.transforms.spatial import Spatial
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.options import VolumeDatasetOptions
from medvid.errors import DataError

NAMES = ("a", "b", "c", "d")


class Options(VolumeDatasetOptions):
    name: Literal["volumes"] = "volumes"

    def label_names(self) -> tuple[str, ...]:
        return ("background", "cube")


class Volumes(VolumeDataset):
    def default_split(self, cases: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        return {"train": tuple(cases[:-1]), "validation": tuple(cases[-1:])}


def quiet(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def root(tmp_path: Path, write_case) -> Path:
    for name in NAMES:
        write_case(tmp_path / "data", name)
    return tmp_path / "data"


@pytest.fixture
def make(tmp_path: Path, root: Path):
    def dataset(**options: object) -> Volumes:
        values = {"root": root, "cache": tmp_path / "cache", "patch": {"size": [8, 8, 8], "per_case": 2}, **options}
        return Volumes(Options.model_validate(values))

    return dataset


def test_samples_are_batches_of_one_case(make) -> None:
    dataset = make()
    dataset.prepare(dataset.cases("train"), quiet)
    batch = dataset.draw("b", 7)
    assert isinstance(batch, Batch)
    assert batch.input.shape == (2, 1, 8, 8, 8)
    assert batch.target.shape == (2, 8, 8, 8)
    assert batch.cases == ("b", "b")
    assert set(batch.target.unique().tolist()) <= {0, 1}
    assert not torch.equal(batch.input, dataset.draw("b", 8).input)


def test_classes_decide_about_patches_that_turn_in_a_larger_one(make) -> None:
    dataset = make(patch={"size": [8, 8, 8], "per_case": 3, "centres": "classes", "forced": 1.0})
    dataset.prepare(dataset.cases("train"), quiet)
    dataset.transforms = [Spatial(SpatialOptions(rotation_probability=0.5)), ZeroOutside(ZeroOutsideOptions())]
    batch = dataset.draw("b", 7)
    assert (batch.input.shape, batch.target.shape) == ((3, 1, 8, 8, 8), (3, 8, 8, 8))
    assert (batch.target.dtype, batch.mask, batch.size) == (torch.int64, None, None)
    assert (batch.target[:, 3:6, 3:6, 3:6] == 1).flatten(1).any(1).all()
    assert torch.equal(batch.input, dataset.draw("b", 7).input)


def test_pickles_small_and_knows_the_content_already(make, root: Path) -> None:
    dataset = make()
    dataset.prepare(dataset.cases("train"), quiet)
    content = pickle.dumps(dataset)
    assert len(content) < 5000
    shutil.rmtree(root)  # a worker reads the cache alone
    assert pickle.loads(content).draw("a", 0).input.shape == (2, 1, 8, 8, 8)


def test_cases_give_input_truth_and_grid(make, root: Path) -> None:
    dataset = make(spacing=(2, 1, 1))
    dataset.prepare(dataset.cases("validation"), quiet)
    case = dataset.open_case("d")
    truth = np.asarray(nib.load(root / "label" / "d.nii.gz").dataobj)
    assert case.input().dtype == torch.float32
    assert case.input().shape == (1, *case.grid.prepared_shape)
    assert case.prepared_truth().shape == case.grid.prepared_shape
    assert case.native_truth().dtype == np.uint8
    np.testing.assert_array_equal(case.native_truth(), truth)
    np.testing.assert_array_equal(case.native_input(), np.asarray(nib.load(root / "img" / "d.nii.gz").dataobj))
    assert case.grid.native_shape == truth.shape


def test_predictions_are_written_on_the_files_own_grid(make, root: Path, tmp_path: Path, write) -> None:
    affine = np.array([[-0.7, 0, 0, 90.0], [0, 0, 2.5, -120], [0, 0.8, 0, 40], [0, 0, 0, 1]])
    path = write(tmp_path / "new" / "scan.nii.gz", np.asarray(nib.load(root / "img" / "a.nii.gz").dataobj), affine)
    (case,) = make().open([path])
    [written] = case.write(np.ones(case.grid.native_shape, np.uint8), tmp_path / "out")
    assert written == tmp_path / "out" / "scan.nii.gz"
    np.testing.assert_allclose(nib.load(written).affine, affine, atol=1e-6)
    assert nib.load(written).shape == nib.load(path).shape


def test_opened_files_are_prepared_like_cached_cases(make, root: Path) -> None:
    dataset = make()
    dataset.prepare(("a",), quiet)
    cases = list(dataset.open([root / "img"]))
    assert [case.id for case in cases] == list(NAMES)
    assert torch.equal(cases[0].input(), dataset.open_case("a").input())
    assert cases[0].grid == dataset.open_case("a").grid
    with pytest.raises(DataError, match="case a has no label map"):
        cases[0].native_truth()
    with pytest.raises(DataError, match="case a has no label map"):
        cases[0].prepared_truth()


def test_missing_files_to_open_are_told_at_once(make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        make().open([tmp_path / "absent.nii.gz"])


def test_a_bad_file_among_opened_ones_stops_only_itself(make, root: Path) -> None:
    (root / "img" / "a.nii.gz").write_bytes(b"<html>")
    bad, good, *_ = make().open([root / "img"])
    with pytest.raises(DataError, match=r"case a: .* is an HTML page"):
        bad.input()
    assert good.input().shape[0] == 1


def test_the_tasks_split_goes_first_then_the_datalists_then_the_default(make, root: Path) -> None:
    assert (make().cases("train"), make().cases("validation")) == (("a", "b", "c"), ("d",))
    entry = {name: f'{{"image": "img/{name}.nii.gz", "label": "label/{name}.nii.gz"}}' for name in NAMES}
    (root / "dataset_0.json").write_text(f'{{"training": [{entry["a"]}, {entry["b"]}], "validation": [{entry["c"]}]}}')
    assert (make().cases("train"), make().cases("validation")) == (("a", "b"), ("c",))
    dataset = make(split={"train": ["c"], "validation": ["a", "b"]})
    assert (dataset.cases("train"), dataset.cases("validation")) == (("c",), ("a", "b"))
    with pytest.raises(DataError, match="has no split 'test'; it has train, validation"):
        dataset.cases("test")


def test_unusable_splits(make, root: Path) -> None:
    with pytest.raises(DataError, match=r"split train names 1 cases that do not exist: x") as caught:
        make(split={"train": ["x"]}).cases("train")
    assert "a, b, c" in caught.value.hint
    with pytest.raises(DataError, match="1 cases are both trained on and held out: b"):
        make(split={"train": ["a", "b"], "validation": ["b", "c"]}).cases("train")
    (root / "imagesTs").mkdir()
    shutil.move(root / "img" / "d.nii.gz", root / "imagesTs")
    with pytest.raises(DataError, match="split validation has 1 cases without labels: d"):
        make(split={"train": ["a"], "validation": ["d"]}).cases("train")


def test_a_single_case_may_be_fitted_when_asked_for(make, caplog: pytest.LogCaptureFixture) -> None:
    dataset = make(split={"train": ["a"], "validation": ["a"]})
    with caplog.at_level(logging.WARNING):
        dataset.prepare(dataset.cases("validation"), quiet)
    assert "fit, not generalisation" in caplog.text


def test_the_same_scan_under_two_names_is_a_leak(make, root: Path) -> None:
    shutil.copyfile(root / "img" / "a.nii.gz", root / "img" / "d.nii.gz")
    dataset = make()
    dataset.prepare(dataset.cases("train"), quiet)
    with pytest.raises(DataError, match="1 held-out cases are copies of training cases: d = a"):
        dataset.prepare(dataset.cases("validation"), quiet)


def test_digests_follow_the_content(make, write_case, root: Path) -> None:
    dataset = make()
    first = dataset.digest(dataset.cases("train"))
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")
    assert make().digest(("a", "b", "c")) == first
    assert dataset.digest(("a", "b")) != first
    write_case(root, "b", seed=1)
    assert make().digest(("a", "b", "c")) != first


def test_files_that_change_during_a_run_are_noticed(make, write_case, root: Path) -> None:
    dataset = make()
    dataset.prepare(dataset.cases("validation"), quiet)
    case = dataset.open_case("d")
    write_case(root, "d", seed=1)
    with pytest.raises(DataError, match="case d: its files changed since they were prepared"):
        case.native_truth()


def test_notes_are_logged(make, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nib.Nifti1Image(np.asarray(nib.load(root / "img" / "a.nii.gz").dataobj), None)
    nib.save(image, root / "img" / "a.nii.gz")
    nib.save(nib.Nifti1Image(np.ones(image.shape, np.uint8), None), root / "label" / "a.nii.gz")
    with caplog.at_level(logging.WARNING):
        make().prepare(("a",), quiet)
    assert "case a: its image gives no orientation" in caplog.text


def remove(root: Path, _write) -> None:
    (root / "label" / "b.nii.gz").unlink()


def truncate(root: Path, _write) -> None:
    path = root / "img" / "b.nii.gz"
    path.write_bytes(path.read_bytes()[:600])


def truncate_plain(root: Path, _write) -> None:
    path = root / "img" / "b.nii.gz"
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes())[:1000])
    path.unlink()


def strange_label(root: Path, write) -> None:
    write(root / "label" / "b.nii.gz", np.full((12, 10, 8), 2, np.uint8))


def other_shape(root: Path, write) -> None:
    write(root / "label" / "b.nii.gz", np.zeros((12, 10, 7), np.uint8))


def other_affine(root: Path, write) -> None:
    write(root / "label" / "b.nii.gz", np.zeros((12, 10, 8), np.uint8), np.diag([-1, 1, 1, 1]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove, r"1 image has no label map in .*: img/b\.nii\.gz"),
        (truncate, r"case b: .*img/b\.nii\.gz is truncated \(got \d+ of 2272 bytes\)"),
        (truncate_plain, r"case b: .*img/b\.nii is truncated \(got 1000 of 2272 bytes\)"),
        (strange_label, r"case b has label 2 \(960 voxels\); the data set declares 0\.\.1"),
        (other_shape, r"case b: the image has shape \(12, 10, 8\), its label map \(12, 10, 7\)"),
        (other_affine, r"case b: image and label map do not lie on one another: .*\(RAS\).*\(LAS\)"),
    ],
)
def test_bad_input_is_one_clear_error(make, root: Path, write, damage, words: str) -> None:
    damage(root, write)
    dataset = make()
    with pytest.raises(DataError, match=words) as caught:
        dataset.prepare(dataset.cases("train"), quiet)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def write_list(root: Path, **lists: Sequence[Mapping[str, object]]) -> None:
    (root / "dataset.json").write_text(json.dumps(lists))


def entry(name: str, **values: object) -> dict[str, object]:
    return {"image": f"img/{name}.nii.gz", "label": f"label/{name}.nii.gz", **values}


def test_a_declared_validation_case_is_never_trained_on(make, root: Path) -> None:
    write_list(root, validation=[entry("a")])
    with pytest.raises(DataError, match="has validation cases, but none to train on"):
        make().cases("train")
    write_list(root, training=[entry("b"), entry("c")], validation=[entry("a")])
    assert (make().cases("train"), make().cases("validation")) == (("b", "c"), ("a",))


def test_folds_ask_for_a_choice(make, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_list(root, training=[entry("a", fold=0), entry("b", fold=1), entry("c", fold=1)])
    with pytest.raises(DataError, match="gives its cases the folds 0, 1, but the task does not say which") as caught:
        make().cases("train")
    assert caught.value.hint == "choose one: dataset.fold: 0"
    assert (make(fold=1).cases("train"), make(fold=1).cases("validation")) == (("a",), ("b", "c"))
    assert "left out, not in dataset.json: img/d.nii.gz, label/d.nii.gz" in caplog.text
    split = {"train": ["a", "b"], "validation": ["c"]}
    assert make(split=split).cases("validation") == ("c",)
    with pytest.raises(ValueError, match="fold and split both say which cases are held out"):
        make(fold=1, split=split)


def test_training_entries_without_a_label_map_are_refused(make, root: Path) -> None:
    write_list(root, training=[entry("a"), {"image": "img/b.nii.gz"}, entry("c")])
    with pytest.raises(DataError, match="split train has 1 cases without labels: b"):
        make().cases("train")


def test_cases_in_no_split_and_lists_that_are_replaced_are_said(
    make, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_list(root, training=[entry("a"), entry("b"), entry("c")], validation=[entry("d")])
    make(split={"train": ["a"], "validation": ["b"]}).cases("train")
    assert "the task replaces splits declared by the data set: train, validation" in caplog.text
    assert "cases in no split are not used: c, d" in caplog.text


def test_copies_of_a_training_case_are_said(make, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copyfile(root / "img/a.nii.gz", root / "img/b.nii.gz")
    dataset = make()
    dataset.prepare(dataset.cases("train"), quiet)
    assert "copies of one image, each of which counts: a = b" in caplog.text


def test_channels_of_one_patient_are_not_predicted_as_patients(make, root: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for number in range(2):
        shutil.copyfile(root / "img/a.nii.gz", tmp_path / "new" / f"p_{number:04d}.nii.gz")
    with pytest.raises(DataError, match="each case needs the channel 0000"):
        make().open([tmp_path / "new"])
    assert [case.id for case in make(folder_layout="pairs").open([tmp_path / "new"])] == ["p_0000", "p_0001"]


def test_what_is_odd_about_an_opened_file_is_said(make, tmp_path: Path, root: Path, caplog) -> None:
    image = nib.Nifti1Image(np.asarray(nib.load(root / "img" / "a.nii.gz").dataobj), None)
    nib.save(image, tmp_path / "scan.nii.gz")
    (case,) = make().open([tmp_path / "scan.nii.gz"])
    with caplog.at_level(logging.WARNING):
        case.input()
    [record] = caplog.records
    assert "case scan: its image gives no orientation" in record.getMessage()
    assert str(tmp_path / "scan.nii.gz") in record.getMessage()


def warnings_of(caplog, action) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        action()
    return [record.getMessage() for record in caplog.records]


def test_what_is_odd_about_the_training_volumes_as_a_whole_is_said(make, tmp_path: Path, write, caplog) -> None:
    """By a run and by a check, in one line each: mixed voxel sizes, a patch that is too large, files without a unit."""
    root, random = tmp_path / "mixed", np.random.default_rng(0)
    for number, (size, depth) in enumerate([((1, 1, 1), 20), ((1, 1, 3), 10), ((1, 1, 5), 6), ((2, 1, 9), 40)]):
        affine = np.diag([*size, 1])[:, [2, 1, 0, 3]]  # slices first in the file
        voxels = random.integers(1, 99, (depth, 12, 12), dtype=np.int16)
        write(root / "img" / f"c{number}.nii.gz", voxels, affine)
        write(root / "label" / f"c{number}.nii.gz", (voxels > 50).astype(np.uint8), affine)
    mixed = (
        "the voxel sizes of the 3 training volumes differ, from 1 x 1 x 1 to 1 x 1 x 5 mm (median 1 x 1 x 3), and are "
        "not resampled: set dataset.spacing, in mm"
    )
    small = (
        "the patch of 8 x 8 x 8 voxels is larger than 1 of the 3 training volumes, which are padded with zeros (median "
        "volume 12 x 12 x 10): see dataset.patch.size and dataset.spacing"
    )
    unit = "3 of the 3 training images do not give their unit of length: mm is assumed"
    for action in ("prepare", "check"):
        dataset = make(root=root, crop=False)
        asked = [*dataset.cases("validation"), *dataset.cases("train")]
        assert warnings_of(caplog, lambda: getattr(dataset, action)(asked, quiet)) == [mixed, small, unit]  # noqa: B023
        even = make(root=root, crop=False, spacing=(1, 1, 1))
        assert warnings_of(caplog, lambda: getattr(even, action)(asked, quiet)) == [unit]  # noqa: B023
        assert warnings_of(caplog, lambda: getattr(even, action)(dataset.cases("validation"), quiet)) == []  # noqa: B023


def test_the_same_oddity_of_many_cases_is_one_line(make, root: Path, caplog) -> None:
    for name in ("a", "b"):
        for path in (root / "img" / f"{name}.nii.gz", root / "label" / f"{name}.nii.gz"):
            nib.save(nib.Nifti1Image(np.asarray(nib.load(path).dataobj), None), path)
    dataset = make()
    said = warnings_of(caplog, lambda: dataset.prepare(NAMES, quiet))
    [line] = [line for line in said if "orientation" in line]
    assert line.startswith("2 cases (a, b): its image gives no orientation (qform and sform codes are 0)")


def recompressed(path: Path, copy: Path) -> None:
    copy.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1))


def turned_over(path: Path, copy: Path) -> None:
    image = nib.load(path)
    nib.save(image.as_reoriented([[0, -1], [2, 1], [1, 1]]), copy)


@pytest.mark.parametrize("write_again", [recompressed, turned_over])
def test_a_copy_is_known_however_it_was_written(
    make, root: Path, caplog: pytest.LogCaptureFixture, write_again: Callable[[Path, Path], None]
) -> None:
    for kind in ("img", "label"):
        write_again(root / kind / "a.nii.gz", root / kind / "d.nii.gz")
    dataset = make()
    assert dataset.cases("validation") == ("d",)
    with pytest.raises(DataError, match="1 held-out cases are copies of training cases: d = a"):
        dataset.prepare(NAMES, quiet)
    together = make(split={"train": ["a", "d"], "validation": ["b"]})
    together.prepare(("a", "b", "d"), quiet)
    assert "copies of one image, each of which counts: a = d" in caplog.text


def test_a_copy_in_another_folder_is_known_whether_it_is_compressed_or_not(make, root: Path) -> None:
    dataset = make()
    dataset.prepare(NAMES, quiet)
    known = [dataset.fingerprint(case) for case in NAMES]
    assert len(set(known)) == len(NAMES)
    for kind in ("img", "label"):
        for name in "ab":
            path = root / kind / f"{name}.nii.gz"
            (root / kind / f"{name}.nii").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
        recompressed(root / kind / "c.nii.gz", root / kind / "c.nii.gz")
    again = make()
    again.prepare(NAMES, quiet)
    assert [again.fingerprint(case) for case in NAMES] == known
