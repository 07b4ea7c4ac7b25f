"""Values per voxel through the command line: from their files to figures, answers and refusals."""

import csv
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from safetensors.torch import load_file
from scipy import ndimage

import medvid
from medvid.cli.main import main
from medvid.runs.folder import RunFolder

TASK = Path(__file__).parent / "values.yaml"
AFFINE = np.diag([-1.5, 1.5, 3.0, 1.0])
SHAPE = (20, 18, 12)
NAMES = ("dose", "depth")


def draw(root: Path) -> None:
    """Smooth noise with air around it; the dose follows it, the depth is that along an axis; a slab is unknown."""
    for seed, name in enumerate("abcd"):
        scan = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, SHAPE), 2)
        scan = 100 + 30 * scan / scan.std()
        scan[:2] = scan[:, -1:] = 0
        depth = np.broadcast_to(np.linspace(-1, 1, SHAPE[0])[:, None, None], SHAPE)
        values = np.stack([30 + (scan - 100) / 6, depth], axis=3)
        values[:, :, 10:, 0] = np.nan
        save(scan, root / f"images/{name}.nii.gz")
        save(values, root / f"labels/{name}.nii.gz")


def save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.float32), AFFINE), path)


def load(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Path:
    """The working directory of a finished run."""
    folder = tmp_path_factory.mktemp("values")
    draw(folder / "own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        assert main(["run", str(TASK)]) == 0
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch, tracking_uri: str) -> Path:
    monkeypatch.chdir(trained)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    return next(trained.glob("runs/values/*"))


def test_figures_are_those_of_the_written_answers(here: Path) -> None:
    rows = {(row["case"], row["value"]): row for row in csv.DictReader((here / "cases.csv").read_text().splitlines())}
    metrics, pairs = medvid.load_run(here).summary["metrics"], {}
    for number, name in enumerate(NAMES):
        for case in "cd":
            found, true = (
                load(path)[..., number].astype(float)
                for path in (here / f"predictions/{case}.nii.gz", Path(f"own/labels/{case}.nii.gz"))
            )
            both = ~np.isnan(found) & ~np.isnan(true)
            pairs[case, name] = found[both], true[both]
            difference, row = found[both] - true[both], rows[case, name]
            assert float(row["mae"]) == pytest.approx(np.abs(difference).mean())
            assert float(row["rmse"]) == pytest.approx(np.sqrt((difference**2).mean()))
            assert float(row["bias"]) == pytest.approx(difference.mean())
            assert float(row["max_error"]) == pytest.approx(np.abs(difference).max())
            assert int(row["voxels"]) == both.sum()
            assert int(row["voxels_unknown"]) == np.isnan(true).sum() == (720 if name == "dose" else 0)
            assert int(row["voxels_unpredicted"]) == (np.isnan(found) & ~np.isnan(true)).sum() > 0
        found, true = (np.concatenate([pairs[case, name][side] for case in "cd"]) for side in (0, 1))
        r2 = 1 - ((found - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
        assert metrics[f"r2/{name}"] == pytest.approx(r2)
        assert metrics[f"mae/{name}"] == pytest.approx(np.mean([float(rows[case, name]["mae"]) for case in "cd"]))
    assert metrics["r2"] == pytest.approx((metrics["r2/dose"] + metrics["r2/depth"]) / 2)
    assert "mae" not in metrics  # Gy and mm have no mean
    assert metrics["mae/dose"] < 6
    assert len(list(here.glob("figures/*.png"))) == 2
    notes = " ".join(medvid.load_run(here).summary["notes"])
    assert "1440 values of voxels are not known" in notes
    assert "lie outside of what dataset.crop leaves" in notes


def test_answers_lie_on_the_grid_of_the_file_and_can_be_read_as_maps_again(here: Path) -> None:
    assert main(["predict", str(here), "own/images/c.nii.gz", "-o", "answers"]) == 0
    answer, evaluated = nib.load("answers/c.nii.gz"), load(here / "predictions/c.nii.gz")
    assert answer.get_data_dtype() == np.float32
    assert answer.shape == (*SHAPE, 2)
    assert np.array_equal(answer.affine, AFFINE)
    assert np.array_equal(np.asarray(answer.dataobj), evaluated, equal_nan=True)
    assert main(["predict", str(here), "own/images/c.nii.gz", "-o", "other", "--format", "nrrd"]) == 2


def test_a_resumed_run_ends_as_the_uninterrupted_one(here: Path, tmp_path: Path) -> None:
    stopped = RunFolder(shutil.copytree(here, tmp_path / "runs" / here.name))
    stopped.summary.unlink()
    shutil.rmtree(max(stopped.checkpoints.iterdir()))
    assert main(["run", "--resume", str(stopped.path)]) == 0
    mine, theirs = (load_file(max(one.glob("checkpoints/*")) / "model.safetensors") for one in (stopped.path, here))
    assert all(mine[name].equal(theirs[name]) for name in theirs)
    assert (stopped.path / "cases.csv").read_text() == (here / "cases.csv").read_text()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("dataset.labels=[background, lesion]", "labels is for labels"),
        ("dataset.values={dose: , depth: mm}", "dose"),
        ("dataset.values={dose: Gy}", "a map of dose has three axes"),
        ("evaluation.probabilities=true", "evaluation.probabilities is of labels"),
        ("evaluation.largest_component=if_better", "evaluation.largest_component is of labels"),
        ("evaluation.protocol={name: medvid, tolerance: 1}", "tolerance is of label maps"),
        ("evaluation.protocol=unetr", "protocol 'unetr'"),
        ("head.loss=dice_ce", "is not for a value per voxel"),
    ],
)
def test_what_does_not_go_with_values_is_refused_before_training(
    setting: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(TASK), "--set", setting]) == (4 if "a map of" in problem else 2)
    assert problem in " ".join(capsys.readouterr().err.split())
