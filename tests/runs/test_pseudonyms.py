"""What leaves the data under `privacy.pseudonyms`: no name of a patient, wherever one looks."""

import csv
import logging
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import nibabel as nib
import numpy as np
import pytest
from tests.runs.conftest import SMALL, TINY, draw_images

import medvid
from medvid.cli.main import main
from medvid.errors import ConfigError, DataError
from medvid.files import read_json
from medvid.runs.pseudonymous import PseudonymousCase
from medvid.runs.pseudonyms import KEY_VARIABLE, Pseudonyms, check_key, site_key
from medvid.runs.report import Report

NAMES = ("DOE_JANE_19610203", "DOE_JANE_19700101", "ROE RICHARD 1950", "POE_JANET_1", "POE_JANET_2", "POE_JANET_3")
CANARIES = ("doe_jane", "doe%5fjane", "roe richard", "roe%20richard", "poe_janet")
KEEPS = {"task.yaml", "resolved.yaml", "origin.json"}


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "site"))


def named_in(text: str | bytes) -> list[str]:
    """The patients that a text names."""
    content = text.decode("latin-1") if isinstance(text, bytes) else text
    return [canary for canary in CANARIES if canary in content.casefold()]


def telling(folder: Path) -> list[str]:
    """Files below a folder that name a patient, in their name or content, but for those that are kept private."""
    return [
        str(path)
        for path in folder.rglob("*")
        if not {"private"} & set(path.relative_to(folder).parts) and path.name not in KEEPS
        if named_in(str(path.relative_to(folder))) or (path.is_file() and named_in(path.read_bytes()))
    ]


def table(folder: Path) -> dict[str, list[str]]:
    """Id and path by pseudonym."""
    private = folder / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE((private / "cases.csv").stat().st_mode) == 0o600
    with (private / "cases.csv").open() as file:
        return {name: rest for name, *rest in list(csv.reader(file))[1:]}


def write_volumes(root: Path, names: tuple[str, ...]) -> Path:
    """Volumes of noise with a bright block, and its label."""
    for name in names:
        random = np.random.default_rng([*name.encode()])
        image, label = random.normal(0, 20, (16, 16, 16)).astype(np.int16), np.zeros((16, 16, 16), np.uint8)
        label[5:12, 5:12, 5:12] = 1
        for folder, array in (("imagesTr", image + 200 * label), ("labelsTr", label)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            scan = nib.Nifti1Image(array.astype(np.int16), np.diag([2, 2, 2, 1]))
            scan.header.set_xyzt_units("mm")
            nib.save(scan, root / folder / f"{name}.nii.gz")
    return root


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was printed since it was asked last."""

    def read() -> str:
        out, err = capfd.readouterr()
        return out + err

    return read


def test_a_run_on_images_names_nobody(working_directory: Path, tracking_uri: str, told: Callable[[], str]) -> None:
    root = draw_images(working_directory / "patients of Dr ROE RICHARD", NAMES)
    command = [
        *("run", str(SMALL), "--verbose", "--set", f"dataset.root={root}", "--set", "privacy.pseudonyms=true"),
        *("--set", "train.workers=1", "--set", f"dataset.split.validation=[{NAMES[0]}, {NAMES[2]}]"),
        *("--set", f"dataset.split.train=[{NAMES[1]}, {NAMES[3]}, {NAMES[4]}, {NAMES[5]}]"),
    ]
    whole = (root / "images" / f"{NAMES[1]}.png").read_bytes()
    (root / "images" / f"{NAMES[1]}.png").write_bytes(whole[:60])
    assert main(command) == DataError.exit_code
    name = Pseudonyms(site_key()).of(NAMES[1])
    assert name in (text := told())
    assert not named_in(text)

    (root / "images" / f"{NAMES[1]}.png").write_bytes(whole)
    assert main(command) == 0
    [folder] = (working_directory / "runs/small").iterdir()
    known = table(folder)
    assert {case for case, _ in known.values()} == set(NAMES)
    assert known[name] == [NAMES[1], "; ".join(str(root / kind / f"{NAMES[1]}.png") for kind in ("images", "masks"))]
    with (folder / "cases.csv").open() as file:
        assert {known[row["case"]][0] for row in csv.DictReader(file)} == {NAMES[0], NAMES[2]}
    assert {path.name.removesuffix("_mask.png") for path in (folder / "predictions").iterdir()} < set(known)
    assert all(stat.S_IMODE((folder / kept).stat().st_mode) == 0o600 for kept in KEEPS)

    assert main(["evaluate", str(folder)]) == 0
    other = draw_images(working_directory / "other", ["DOE_JANET_2", "DOE_JANE"], seed=1)
    assert main(["evaluate", str(folder), "--data", str(other), "-o", "scored"]) == 0
    (root / "images" / f"{NAMES[3]}.png").write_bytes(b"damaged")
    for _ in range(2):
        assert main(["predict", str(folder), str(root / "images"), "-o", "out"]) == DataError.exit_code
    assert {case for case, _ in table(working_directory / "out").values()} == set(NAMES)
    assert len(list((working_directory / "out").glob("*_mask.png"))) == len(NAMES) - 1

    assert not named_in(told())
    assert not telling(folder)
    assert not telling(working_directory / "out")
    assert not telling(working_directory / "scored")
    store = Path(tracking_uri.removeprefix("sqlite:///")).parent
    assert not telling(store)
    tracked = mlflow.MlflowClient(tracking_uri).list_artifacts(read_json(folder / "summary.json")["mlflow_run_id"])
    mirrored = {Path(artifact.path).name for artifact in tracked}
    assert mirrored >= {"cases.csv", "summary.json", "figures"}
    assert not mirrored & {*KEEPS, "private"}


def test_a_run_on_volumes_names_nobody(working_directory: Path, tracking_uri: str, told: Callable[[], str]) -> None:
    root = write_volumes(working_directory / "own", NAMES[:4])
    overrides = {
        "dataset.name": "nifti", "dataset.root": str(root), "dataset.labels": ["background", "block"],
        "dataset.patch.size": [16, 16, 16], "backbone.img_size": [16, 16, 16], "dataset.spacing": None,
        "dataset.normalize": "zscore", "train.steps": 2, "train.checkpoint_every": 1, "evaluation.every": 2,
        "privacy.pseudonyms": True,
    }  # fmt: skip
    label = root / "labelsTr" / f"{NAMES[2]}.nii.gz"
    whole = label.read_bytes()
    wrong = nib.load(label)
    nib.save(nib.Nifti1Image(np.full((16, 16, 16), 7, np.int16), wrong.affine, wrong.header), label)
    with pytest.raises(DataError) as caught:
        medvid.run(TINY, overrides)
    assert Pseudonyms(site_key()).of(NAMES[2]) in str(caught.value)
    assert not named_in(str(caught.value) + caught.value.hint)

    label.write_bytes(whole)
    run = medvid.run(TINY, overrides)
    store = Path(tracking_uri.removeprefix("sqlite:///")).parent
    scan = root / "imagesTr" / f"{NAMES[0]}.nii.gz"
    [(case, prediction)] = run.predict([scan], working_directory / "out", probabilities=True)
    assert table(working_directory / "out") == {case: [NAMES[0], str(scan)]}
    assert [path.name for path in prediction.files][:2] == [f"{case}.nii.gz"] * 2
    assert not telling(run.folder.path) + telling(working_directory / "out") + telling(store)
    assert not named_in(told())


def test_a_run_keeps_its_key(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_images(working_directory / "own", NAMES)
    options = {"dataset.root": "own", "privacy.pseudonyms": True, "evaluation.figures": 0}
    run = medvid.run(SMALL, options)
    key = working_directory / "site/medvid/pseudonym.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not [
        path for path in run.folder.path.rglob("*") if path.is_file() and key.read_bytes().strip() in path.read_bytes()
    ]
    for name in ("checkpoints/step-00000003", "summary.json"):
        (run.folder.path / name).rename(working_directory / Path(name).name)
    again = medvid.resume(run.folder.path)
    assert set(table(again.folder.path)) == set(table(run.folder.path))
    with pytest.raises(ConfigError, match=r"privacy.pseudonyms was true when the run started"):
        run.evaluate(overrides={"privacy.pseudonyms": False})
    monkeypatch.setenv(KEY_VARIABLE, "another key of the site")
    for refused in (lambda: medvid.resume(run.folder.path), run.evaluate):
        with pytest.raises(ConfigError, match="the key of pseudonyms differs from the run's key"):
            refused()


def test_a_run_that_fails_names_nobody(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_images(working_directory / "own", NAMES)

    def damage(*_: object) -> None:
        os.utime(root / "images" / f"{NAMES[1]}.png", (0, 0))
        (root / "masks" / f"{NAMES[0]}.png").unlink()

    monkeypatch.setattr(Report, "started", damage)  # after the data were found to be in order
    options = {"train.workers": 1, "train.max_unreadable": 0.3, "evaluation.every": None}
    split = {"dataset.split": {"train": NAMES[1:5], "validation": [NAMES[0]]}}
    with pytest.raises(DataError) as caught:
        medvid.run(SMALL, {"dataset.root": "own", "privacy.pseudonyms": True, **options, **split})
    [folder] = (working_directory / "runs/small").iterdir()
    of = Pseudonyms(site_key()).of
    assert list(read_json(folder / "unreadable.json")) == [of(NAMES[1])]
    assert f"case {of(NAMES[0])}:" in str(caught.value)
    assert f"case {of(NAMES[0])}:" in read_json(folder / "summary.json")["error"]
    assert "Traceback" in (folder / "run.log").read_text()
    assert not telling(folder)


def test_loggers_and_errors_are_left_as_they_were(working_directory: Path) -> None:
    draw_images(working_directory / "own", NAMES)
    before = logging.getLogRecordFactory()
    with pytest.raises(DataError):
        medvid.run(SMALL, {"dataset.root": "own", "privacy.pseudonyms": True, "evaluation.split": "test"})
    assert logging.getLogRecordFactory() is before


def test_two_processes_train_under_pseudonyms(working_directory: Path) -> None:
    root = draw_images(working_directory / "own", NAMES)
    command = [sys.executable, "-m", "medvid", "run", str(SMALL), "--set", f"dataset.root={root}"]
    options = ("privacy.pseudonyms=true", "train.devices=2", "train.accelerator=cpu", "evaluation.figures=0")
    done = subprocess.run(
        [*command, *(part for option in options for part in ("--set", option))],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{working_directory}/mlflow.db"},
    )
    assert done.returncode == 0, done.stderr
    [folder] = (working_directory / "runs/small").iterdir()
    assert len(table(folder)) == len(NAMES)
    assert not named_in(done.stdout + done.stderr)
    assert not telling(folder)


KEY = b"the key of a site"


def test_a_pseudonym_is_keyed_and_stable() -> None:
    assert Pseudonyms(KEY).of("a") == Pseudonyms(KEY).of("a")
    assert len({Pseudonyms(key).of("a") for key in (KEY, b"another key of it")}) == 2


def test_two_cases_of_one_pseudonym_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pseudonyms, "of", lambda *_: "0123456789")
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.add_case("a") == pseudonyms.add_case("a")
    with pytest.raises(DataError, match="two cases have the pseudonym 0123456789"):
        pseudonyms.add_case("b")


@pytest.mark.parametrize("key", ["", "short"])
def test_a_short_key_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(ConfigError, match="the minimum is 16"):
        site_key()


def test_other_keys_are_told_without_the_key() -> None:
    check_key(Pseudonyms(KEY), Pseudonyms(KEY).check_value)
    check_key(None, "")
    assert KEY.decode() not in Pseudonyms(KEY).check_value


class Scan:
    """A case of a third party, that writes several files."""

    id = "DOE JANE"
    patient = "DOE"
    sources = (Path("DOE JANE.png"),)

    def input(self) -> None:
        raise DataError("DOE JANE.png is damaged")

    def read(self) -> Iterator[int]:
        yield 1
        raise DataError("DOE JANE.mp4 ends here")

    def write(self, labels: object, folder: Path) -> tuple[Path, ...]:  # noqa: ARG002
        (folder / "DOE%20JANE.txt").touch()
        (folder / "other.nii.gz").touch()
        return (folder / "DOE%20JANE.txt",)


def test_a_case_is_called_by_its_pseudonym_wherever_it_is_read(tmp_path: Path) -> None:
    with Pseudonyms(KEY) as pseudonyms:
        case = pickle.loads(pickle.dumps(PseudonymousCase(Scan(), pseudonyms.add_case(Scan.id), pseudonyms)))
        name = pseudonyms.of(Scan.id)
        assert (case.id, case.patient) == (name, pseudonyms.of("DOE"))
        with pytest.raises(DataError, match=rf"^{name}\.png is damaged$"):
            case.input()
        frames = case.read()
        assert next(frames) == 1
        with pytest.raises(DataError, match=rf"^{name}\.mp4 ends here$"):
            next(frames)
        assert case.write(None, tmp_path) == (tmp_path / f"{name}.txt",)
        assert {path.name for path in tmp_path.iterdir()} == {f"{name}.txt", f"{name}.nii.gz"}


def test_texts_tell_no_names(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    draw_images(folder, ["DOE_JANE_1961", "ROE RICHARD", "Müller"])
    (folder / "list.csv").write_text("images/POE_JANET.png,1\n")
    pseudonyms = Pseudonyms(KEY)
    pseudonyms.learn(folder)
    pseudonyms.add_case("7")
    text = (
        f"{folder}/images/DOE_JANE_1961.png, its mask DOE_JANE_1961_mask.png; {folder}/gone/KOE KIM.png; "
        f"doe_jane_1961, ROE RICHARD.png; 7 of 17 cases, case 7; POE_JANET; Mu\u0308ller, {tmp_path}/other"
    )
    hidden = pseudonyms.hide(text)
    assert not named_in(hidden)
    assert "7 of 17 cases" in hidden
    assert f"case {pseudonyms.of('7')};" in hidden
    assert "ller" not in hidden
    assert str(folder) not in hidden
    assert f"{tmp_path}/other" in hidden
    assert pseudonyms.of("DOE_JANE_1961") in hidden
    assert pseudonyms.hide(hidden) == hidden


class OddError(Exception):
    """Says the same whatever its arguments become."""

    def __str__(self) -> str:
        return "DOE_JANE is odd"


@pytest.mark.parametrize(
    "error",
    [
        DataError("case DOE_JANE: is damaged", hint="see DOE_JANE.png"),
        FileNotFoundError(2, "No such file or directory", "DOE_JANE.png"),
        KeyError("DOE_JANE"),
        OddError(),
    ],
)
def test_errors_tell_no_names(error: Exception) -> None:
    pseudonyms = Pseudonyms(KEY)
    pseudonyms.add_case("DOE_JANE")
    error.add_note("while DOE_JANE was read")
    with pytest.raises(Exception) as caught, pseudonyms.errors():  # noqa: PT011 (of several kinds)
        raise error from ValueError("of DOE_JANE")
    told = caught.value
    shown = [str(told), getattr(told, "hint", ""), *getattr(told, "__notes__", ()), str(told.__cause__)]
    assert not named_in(" ".join(shown))
    assert isinstance(told, RuntimeError if isinstance(error, OddError) else type(error))
    pickle.dumps(told)
