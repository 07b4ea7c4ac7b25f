"""A packed model predicts what its run predicts, says nothing of cases, and is refused once it was changed."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import medvid
from medvid.cli.main import main
from medvid.errors import CheckpointError, DataError, MedvidError
from medvid.packing.archive import MANIFEST, read_manifest, unpacked
from medvid.runs.api import Run

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Run:
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        run = medvid.run(TINY, {"train.steps": 2, "evaluation.every": 2, "train.checkpoint_every": 2})
        assert main(["pack", str(run.folder.path), "-o", "model.zip", "--licence", "CC-BY-4.0", "--use", "tests"]) == 0
    return run


@pytest.fixture
def model(trained: Run) -> Path:
    return trained.folder.path.parents[2] / "model.zip"


def rewritten(model: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """A copy of a zip file whose members are changed."""
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            if changed := change(name, source.read(name)):
                copy.writestr(*changed)
    return target


def test_it_predicts_the_same_bits_as_its_run(trained: Run, model: Path, tmp_path: Path) -> None:
    scan = next((trained.folder.path.parents[2] / "cache").rglob("img*.nii.gz"))
    moved = shutil.copy(model, tmp_path / "elsewhere.zip")
    for which, output in ((trained.folder.path, "of_run"), (moved, "of_model")):
        assert main(["predict", str(which), str(scan), "-o", str(tmp_path / output)]) == 0
    found = [(tmp_path / output / scan.name).read_bytes() for output in ("of_run", "of_model")]
    assert found[0] == found[1]


def test_it_names_no_case_and_no_folder(trained: Run, model: Path) -> None:
    cases = [case for split in json.loads(trained.folder.origin.read_text())["splits"].values() for case in split]
    private = [*cases, str(trained.folder.path.parents[2])]
    with zipfile.ZipFile(model) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not [word for word in private if word.encode() in content], name


def test_its_card_says_what_it_is(trained: Run, model: Path) -> None:
    with zipfile.ZipFile(model) as archive:
        card, text = json.loads(archive.read("card.json")), archive.read("CARD.md").decode()
    assert card["figures"]["dice"] == pytest.approx(trained.summary["metrics"]["dice"])
    assert (card["licence"], card["use"], card["data"]["generated"]) == ("CC-BY-4.0", "tests", True)
    assert card["answers"]["names"][1] == "spleen"
    assert f"| dice | {card['figures']['dice']:.4g} |" in text
    assert read_manifest(model)["licence"] == "CC-BY-4.0"


def _damage(name: str, content: bytes) -> tuple[str, bytes]:
    return name, content[:-1] + bytes([content[-1] ^ 1]) if name.endswith(".safetensors") else content


def _smuggle(name: str, content: bytes) -> tuple[str, bytes]:
    if name != MANIFEST:
        return name, content
    manifest = json.loads(content)
    manifest["sha256"]["../evil.py"] = manifest["sha256"].pop("environment.json")
    return name, json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_damage, CheckpointError, "other bytes than were packed"),
        (_smuggle, DataError, "its members are not those of its manifest"),
        (lambda name, content: None if name == "card.json" else (name, content), DataError, "was changed"),
        (lambda name, content: None if name == MANIFEST else (name, content), DataError, "not a packed model"),
        (lambda name, content: (name, content.replace(b'"format": 1', b'"format": 9')), DataError, "the format 9"),
    ],
    ids=["damaged", "smuggled", "incomplete", "no manifest", "later"],
)
def test_what_was_changed_is_refused(
    model: Path,
    tmp_path: Path,
    change: Callable[[str, bytes], tuple[str, bytes] | None],
    error: type[MedvidError],
    says: str,
) -> None:
    changed = rewritten(model, tmp_path / "changed.zip", change)
    with pytest.raises(error, match=says), unpacked(changed):
        pass


def test_a_path_that_leads_out_is_refused(model: Path, tmp_path: Path) -> None:
    def escape(name: str, content: bytes) -> tuple[str, bytes]:
        return ("../evil.py", content) if name == "environment.json" else _smuggle(name, content)

    with pytest.raises(DataError, match="does not belong"), unpacked(rewritten(model, tmp_path / "evil.zip", escape)):
        pass
    assert not (tmp_path.parent / "evil.py").exists()


@pytest.mark.parametrize("name", ["..", "../out", "", ".hidden"])
def test_a_name_that_leads_out_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    def rename(member: str, content: bytes) -> tuple[str, bytes]:
        if member != MANIFEST:
            return member, content
        return member, json.dumps(json.loads(content) | {"name": name}).encode()

    with pytest.raises(DataError, match="not a packed model"), unpacked(rewritten(model, tmp_path / "o.zip", rename)):
        pass


def test_any_name_of_a_run_can_be_packed(trained: Run, tmp_path: Path) -> None:
    renamed = shutil.copytree(trained.folder.path, tmp_path / "-my run (2)")
    assert main(["pack", "-o", str(tmp_path / "m.zip"), "--", str(renamed)]) == 0
    assert read_manifest(tmp_path / "m.zip")["name"] == "_my_run__2_"


def test_an_existing_file_is_not_written_over(trained: Run, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = model.read_bytes()
    assert main(["pack", str(trained.folder.path), "-o", str(model)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert model.read_bytes() == before
