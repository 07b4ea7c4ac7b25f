import json
import pickle
import sys
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from medvid.data.batch import Batch
from medvid.errors import DataError
from medvid.plugin.host import make_host
from medvid.testing.evaluation import evaluate_case, make_evaluator, predict_case
from medvid_btcv.abdomen import draw_abdomen
from medvid_btcv.config import LABELS, SYNAPSE_LABELS, SynapseOptions, SynapsePhantomOptions
from medvid_btcv.phantoms import generate_synapse
from medvid_btcv.published import TRANSUNET
from medvid_btcv.scans import ORGANS
from medvid_btcv.synapse import Synapse
from medvid_btcv.transform import TurnOrRotate

STEP = 40  # HU between labels in `write_scan`: the organ of a voxel can be read off its intensity
SPLIT = {"train": ["img0001"], "test": ["img0002"]}


def nothing(done: int, total: int) -> None: ...


def write_scan(root: Path, number: int, shape: tuple[int, int, int] = (20, 24, 9)) -> tuple[np.ndarray, np.ndarray]:
    """A volume of BTCV's orientation (L, A, S) with boxes of all 13 labels, in raw label ids."""
    labels = np.zeros(shape, np.uint8)
    for label in range(1, 14):
        x, y = 4 * ((label - 1) % 5), 6 * ((label - 1) // 5) + number
        labels[x : x + 4, y : y + 5, 1 + number : 7 + number] = label
    organ = np.array(ORGANS)[labels]
    image = (STEP * organ - 100).astype(np.int16)
    image[0, 0, 0] = -1000
    for kind, array in (("img", image), ("label", labels)):
        (root / kind).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, np.diag((-0.8, 0.9, 3.0, 1.0))), root / kind / f"{kind}{number:04d}.nii.gz")
    return image, labels


def synapse(root: Path, tmp_path: Path, **options: object) -> Synapse:
    return Synapse(SynapseOptions(root=root, cache=tmp_path / "cache", **options))


class Reader(torch.nn.Module):
    """Reads the organ of each pixel off its intensity."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        assert input.shape[1:] == (1, *input.shape[2:])
        organ = (input[:, 0] * 400 - 125 + 100) / STEP
        return -(organ[:, None] - torch.arange(9.0)[:, None, None]).abs()


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for number in (1, 2):
        write_scan(tmp_path / "scans", number)
    return tmp_path / "scans"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A training volume of three slices and a test volume, in the authors' axes."""
    root = tmp_path / "files"
    for folder in ("train_npz", "test_vol_h5"):
        (root / folder).mkdir(parents=True)
    image, labels = write_scan(tmp_path / "unused", 1)
    image, label = (np.clip(image, -125, 275) + 125) / 400, np.array(ORGANS)[labels]
    for index in range(3):
        arrays = {
            "image": image[:, :, index + 3].astype(np.float32),
            "label": label[:, :, index + 3].astype(np.float32),
        }
        np.savez(root / "train_npz" / f"case0005_slice{index:03d}.npz", **arrays)
    with h5py.File(root / "test_vol_h5" / "case0001.npy.h5", "w") as file:
        file["image"], file["label"] = np.moveaxis(image, 2, 0), np.moveaxis(label, 2, 0)
    return root


def test_the_split_is_the_published_one(tmp_path):
    generate_synapse(tmp_path / "demo", SynapsePhantomOptions(shape=(20, 16, 6), spacing=(15, 15, 33)))
    data = synapse(tmp_path / "demo", tmp_path)
    assert data.cases("test") == tuple(f"img{number:04d}" for number in TRANSUNET["test"])
    slices = [f"img{number:04d}_slice{index:03d}" for number in TRANSUNET["train"] for index in range(6)]
    assert data.cases("train") == tuple(slices)
    assert {name: len(numbers) for name, numbers in TRANSUNET.items()} == {"train": 18, "test": 12}
    (tmp_path / "demo/Training/img/img0039.nii.gz").unlink()
    (tmp_path / "demo/Training/label/label0039.nii.gz").unlink()
    with pytest.raises(DataError, match=r"needs 1 cases that are not in .*: img0039"):
        synapse(tmp_path / "demo", tmp_path).cases("train")


def test_a_datalist_that_comes_with_btcv_does_not_change_the_split(scans, tmp_path):
    entries = [{"image": f"img/img{n:04d}.nii.gz", "label": f"label/label{n:04d}.nii.gz"} for n in (1, 2)]
    (scans / "dataset_0.json").write_text(json.dumps({"training": entries[1:], "validation": entries[:1]}))
    with pytest.raises(DataError, match="the published split needs 28 cases"):
        synapse(scans, tmp_path).cases("train")
    assert synapse(scans, tmp_path, split=SPLIT).cases("test") == ("img0002",)


def test_of_the_authors_files_the_folders_say_what_the_task_leaves_out(files, tmp_path):
    data = synapse(files, tmp_path, split={"train": ["case0005"]})
    assert (len(data.cases("train")), data.cases("test")) == (3, ("case0001",))
    with pytest.raises(DataError, match="split train names 1 cases that do not exist: case0001"):
        synapse(files, tmp_path, split={"train": ["case0001"]}).cases("train")


def test_organs_are_renumbered_as_in_the_authors_files():
    assert [(LABELS[raw], SYNAPSE_LABELS[organ]) for raw, organ in enumerate(ORGANS) if organ] == [
        (name, name) for name in LABELS if name in SYNAPSE_LABELS[1:]
    ]
    assert ORGANS == (0, 7, 4, 3, 2, 0, 5, 8, 1, 0, 0, 6, 0, 0)


def test_a_sample_is_what_the_published_code_makes_of_a_slice(scans, tmp_path):
    data = synapse(scans, tmp_path, split=SPLIT, size=(14, 12))
    data.prepare([*data.cases("train"), *data.cases("test")], nothing)
    batch = data.draw("img0001_slice004", 0)
    image, label = (
        np.asarray(nib.as_closest_canonical(nib.load(scans / kind / f"{kind}0001.nii.gz")).dataobj)[..., 4]
        for kind in ("img", "label")
    )
    scaled = (np.clip(image.astype(float), -125, 275) + 125) / 400
    factors = (14 / 20, 12 / 24)
    np.testing.assert_allclose(batch.input[0, 0], ndimage.zoom(scaled, factors, order=3), atol=1e-3)  # float16
    np.testing.assert_array_equal(batch.target[0], ndimage.zoom(np.array(ORGANS)[label], factors, order=0))
    assert (batch.input.dtype, batch.target.dtype, batch.cases) == (torch.float32, torch.int64, ("img0001_slice004",))
    assert len(data.cases("train")) == 9
    assert data.digest(data.cases("train")) == data.digest(data.cases("train")[:1])  # of the same volume


def test_a_slice_lies_in_one_piece_in_the_cache(scans, tmp_path):
    data = synapse(scans, tmp_path, split=SPLIT)
    data.prepare(["img0001_slice000"], nothing)
    image, label = pickle.loads(pickle.dumps(data))._source.slice("img0001_slice004")
    assert isinstance(image, np.memmap)
    assert image.flags.f_contiguous
    assert label.flags.f_contiguous


def test_augmentation_keeps_image_and_label_together_and_repeats():
    label = np.random.default_rng(0).integers(1, 9, (32, 32)).astype(np.uint8)
    batch = Batch(torch.from_numpy(label)[None, None].float(), torch.from_numpy(label)[None], ("a",))
    (options,) = SynapseOptions(root="x").augment
    change = TurnOrRotate(options)
    drawn = [change(batch, torch.Generator().manual_seed(seed)) for seed in range(60)]
    seen = [(each.input[0, 0].numpy(), each.target[0].numpy()) for each in drawn]
    for changed, target in seen:
        np.testing.assert_array_equal(changed, target)
    again = change(batch, torch.Generator().manual_seed(7))
    np.testing.assert_array_equal(again.target[0], seen[7][1])
    kinds = [
        "same" if (target == label).all() else "turned" if sorted(target.flat) == sorted(label.flat) else "rotated"
        for _, target in seen
    ]
    assert {kind: kinds.count(kind) for kind in ("same", "turned", "rotated")} == pytest.approx(
        {"same": 15, "turned": 30, "rotated": 15}, abs=9
    )


@pytest.mark.parametrize("protocol", ["transunet", "medvid", "unetr"])
def test_volumes_are_scored_whole_on_the_grid_of_their_file(scans, tmp_path, protocol):
    data = synapse(scans, tmp_path, split=SPLIT, size=(20, 24))
    data.prepare([*data.cases("train"), *data.cases("test")], nothing)
    block = {"protocol": protocol, "figures": 1, "window_batch": 4}
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, **block)
    rows = evaluate_case(scoring, Reader(), data.open_case("img0002"), final=True, folder=tmp_path)
    assert [row["label"] for row in rows] == list(SYNAPSE_LABELS[1:])
    assert scoring.scorer.summarise(rows).metrics["dice"] == 1.0
    assert scoring.scorer.summarise(rows).metrics["hd95_voxel" if protocol == "transunet" else "hd95_mm"] == 0.0
    assert len(scoring.scorer.figures((), tmp_path)) == 1
    written = nib.load(tmp_path / "predictions" / "img0002.nii.gz")
    truth = nib.load(scans / "label" / "label0002.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.array(ORGANS)[np.asarray(truth.dataobj)])
    np.testing.assert_allclose(written.affine, truth.affine)


def test_a_smaller_model_gives_label_maps_of_the_files_size(scans, tmp_path):
    data = synapse(scans, tmp_path, split=SPLIT, size=(40, 48))
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, protocol="transunet")
    rows = evaluate_case(scoring, Reader(), data.open_case("img0001"), final=True, folder=tmp_path)
    assert 0.75 < scoring.scorer.summarise(rows).metrics["dice"] < 1  # borders between distant intensities are misread
    [prediction, picture] = predict_case(
        scoring, Reader(), next(data.open([scans / "img" / "img0001.nii.gz"])), tmp_path
    ).files
    assert nib.load(prediction).shape == (20, 24, 9)
    assert picture.stat().st_size > 5000


def test_slices_cannot_be_scored(scans, tmp_path):
    with pytest.raises(DataError, match="volumes are scored"):
        synapse(scans, tmp_path, split=SPLIT).open_case("img0001_slice000")


@pytest.mark.parametrize(("left", "reason"), [(20, "is not a NIfTI file"), (-30, "is truncated")])
def test_a_damaged_volume_is_named_before_anything_is_trained(scans, tmp_path, left, reason):
    path = scans / "img" / "img0001.nii.gz"
    path.write_bytes(path.read_bytes()[:left])
    data = synapse(scans, tmp_path, split=SPLIT)
    with pytest.raises(DataError, match=rf"case img0001: .*img0001\.nii\.gz {reason}"):
        data.prepare(data.cases("train"), nothing)


def test_the_authors_files_are_read_too(files, tmp_path):
    data = synapse(files, tmp_path, size=(20, 24))
    assert data.cases("train") == tuple(f"case0005_slice{index:03d}" for index in range(3))
    assert data.cases("test") == ("case0001",)
    data.prepare([*data.cases("train"), *data.cases("test")], nothing)
    assert data.digest(["case0001"]) != data.digest(["case0005_slice000"])
    with np.load(files / "train_npz" / "case0005_slice001.npz") as file:
        batch = data.draw("case0005_slice001", 0)
        np.testing.assert_allclose(batch.input[0, 0], file["image"], atol=1e-6)
        np.testing.assert_array_equal(batch.target[0], file["label"])
    scoring = make_evaluator(make_host(), data.input_info, data.target_info, protocol="transunet", figures=1)
    rows = evaluate_case(scoring, Reader(), data.open_case("case0001"), final=True, folder=tmp_path / "run")
    assert scoring.scorer.summarise(rows).metrics["dice"] == 1.0
    assert nib.load(tmp_path / "run" / "predictions" / "case0001.nii.gz").shape == (24, 20, 9)
    assert len(scoring.scorer.figures((), tmp_path / "run")) == 1
    [case] = data.open([files / "test_vol_h5"])
    assert predict_case(scoring, Reader(), case, tmp_path / "new").files[0].name == "case0001.nii.gz"
    with pytest.raises(DataError, match=r"is not a \.npy\.h5 file"):
        list(data.open([files / "train_npz"]))


def test_damaged_files_of_the_authors_are_named(files, tmp_path):
    data = synapse(files, tmp_path)
    bad = files / "train_npz" / "case0005_slice001.npz"
    original = bad.read_bytes()
    label = np.full((4, 4), 13.0)
    for write, reason in (
        (lambda: bad.write_bytes(original[:100]), "cannot be read"),
        (lambda: np.savez(bad, image=np.zeros((4, 4)), label=np.array([[None]])), "cannot be read"),  # pickled
        (lambda: np.savez(bad, image=np.zeros((4, 5)), label=label), r"shape \(4, 5\), its label map \(4, 4\)"),
        (lambda: np.savez(bad, image=np.zeros((4, 4)), label=label), r"has the labels \[13.0\]"),
    ):
        write()
        with pytest.raises(DataError, match=rf"case0005_slice001.*{reason}"):
            data.prepare(["case0005_slice000"], nothing)
    (files / "test_vol_h5" / "case0001.npy.h5").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"case0001\.npy\.h5 cannot be read"):
        data.prepare(["case0001"], nothing)


def test_without_h5py_the_error_says_what_to_install(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match="h5py, which is not installed") as caught:
        synapse(files, tmp_path).prepare(["case0001"], nothing)
    assert caught.value.hint == "pip install h5py"


def test_intensity_alone_cannot_label_the_organs():
    """Not even where each organ gets the intensities that suit it best, found on the labels of the same cases."""
    options = SynapsePhantomOptions()
    counts = np.zeros((10, 64, len(SYNAPSE_LABELS)))
    for case in range(10):
        image, labels, _ = draw_abdomen(options.shape, options.spacing, LABELS, np.random.default_rng(case))
        bins = ((np.clip(image, -125, 274) + 125) * 64 // 400).astype(int)
        np.add.at(counts[case], (bins.ravel(), np.array(ORGANS)[labels].ravel()), 1)
    best = []
    for label in range(1, len(SYNAPSE_LABELS)):
        share = counts.sum(0)[:, label] / np.maximum(counts.sum((0, 2)), 1)
        chosen = counts[:, np.argsort(-share)]
        hits, size = chosen[..., label].cumsum(1), chosen.sum(2).cumsum(1)
        best.append((2 * hits / (size + counts[..., label].sum(1, keepdims=True))).mean(0).max())
    assert np.mean(best) < 0.4


def test_all_files_of_the_authors_are_accounted_for(files, tmp_path, caplog):
    (files / "train_npz" / "case0005_slice001.npz").rename(files / "train_npz" / "case0005_slice1.npz.part")
    (files / "test_vol_h5" / "case0002.h5").touch()
    data = synapse(files, tmp_path)
    assert data.cases("train") == ("case0005_slice000", "case0005_slice002")
    assert "case0005 lacks the slices 1" in caplog.text
    assert (
        "left out, not slices in train_npz or .npy.h5 files in test_vol_h5: test_vol_h5/case0002.h5, train_npz"
        in caplog.text
    )
    caplog.clear()
    assert [case.id for case in data.open([files / "test_vol_h5", files / "test_vol_h5" / "case0001.npy.h5"])] == [
        "case0001"
    ]
    assert "left out, not .npy.h5: case0002.h5" in caplog.text
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "case0001.npy.h5").touch()
    with pytest.raises(DataError, match="volumes with the same name"):
        data.open([files / "test_vol_h5", tmp_path / "more"])
    (files / "test_vol_h5" / "case0009.npy.h5").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"broken links: test_vol_h5/case0009\.npy\.h5"):
        synapse(files, tmp_path).cases("test")


def test_values_that_the_authors_files_do_not_have(files, tmp_path, caplog):
    path = files / "train_npz" / "case0005_slice001.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, image=arrays["image"] * 400 - 125, label=arrays["label"])
    data = synapse(files, tmp_path)
    data.prepare(data.cases("train"), nothing)
    assert "case case0005: its values exceed [0, 1]" in caplog.text
    assert data.check_case("case0005", deep=False)
    arrays["image"][3, 4] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"case0005_slice001\.npz has voxels that are NaN"):
        synapse(files, tmp_path).check_case("case0005", deep=False)
