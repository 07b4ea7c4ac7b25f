import sys
from pathlib import Path
from typing import Any

import pytest

from medvid.data.transforms.options import HorizontalFlipOptions
from medvid.plugin.specs import load_attribute
from medvid_kinetics.config import KineticsOptions
from medvid_kinetics.data import Kinetics
from medvid_kinetics.plugin import medvid_components


@pytest.fixture
def clips(films: Any, tmp_path: Path) -> Path:
    """Four clips in folders of two classes."""
    film = films.write(tmp_path / "train" / "riding a bike" / "a b_000001_000011.mp4", films.numbered(12))
    for name in ("train/abseiling/c.mp4", "val/riding a bike/d.mp4", "val/abseiling/e.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(film.read_bytes())
    return tmp_path


def kinetics(root: Path, **options: object) -> Kinetics:
    return Kinetics(KineticsOptions.model_validate({"root": root, "frames": 4, "size": 32, **options}))


def test_the_spec_resolves() -> None:
    [spec] = medvid_components()
    assert (spec.name, spec.axes, spec.where, spec.what) == ("kinetics", "video", "case", ("class", "labels"))
    assert load_attribute(spec.target) is Kinetics
    assert load_attribute(spec.config) is KineticsOptions
    options = KineticsOptions(root="x")
    assert options.input_info().size == (16, 224, 224)
    assert (options.rate, options.target_fps, options.augment) == (4, 30, (HorizontalFlipOptions(probability=0.5),))


def test_folders_of_classes(clips) -> None:
    data = kinetics(clips)
    assert data.target_info.names == ("abseiling", "riding a bike")
    assert data.cases("train") == ("train/abseiling/c.mp4", "train/riding a bike/a b_000001_000011.mp4")
    assert data.cases("validation") == ("val/abseiling/e.mp4", "val/riding a bike/d.mp4")
    batch = data.draw("train/riding a bike/a b_000001_000011.mp4", 0)
    assert (batch.input.shape, batch.target.tolist()) == ((1, 3, 4, 32, 32), [1])
    assert data.open_case("val/abseiling/e.mp4").views(2, 3, "spread").shape == (6, 3, 4, 32, 32)


def test_pyslowfasts_lists(clips) -> None:
    bike = clips / "train" / "riding a bike" / "a b_000001_000011.mp4"
    (clips / "train.csv").write_text(f"{bike} 1\ntrain/abseiling/c.mp4 0\n")
    (clips / "val.csv").write_text("val/abseiling/e.mp4 0\n")
    data = kinetics(clips)
    assert data.target_info.names == ("class 0", "class 1")
    assert data.cases("train") == ("train/riding a bike/a b_000001_000011.mp4", "train/abseiling/c.mp4")
    (clips / "kinetics_400_labels.csv").write_text("id,name\n0,abseiling\n1,riding a bike\n2,yoga\n")
    named = kinetics(clips)
    assert named.target_info.names == ("abseiling", "riding a bike", "yoga")
    assert named.draw(data.cases("train")[0], 0).target.tolist() == [1]


def test_lists_elsewhere_with_a_prefix(clips, tmp_path_factory) -> None:
    root = tmp_path_factory.mktemp("lists")
    (root / "train.csv").write_text("abseiling/c.mp4 0\nriding a bike/a b_000001_000011.mp4 1\n")
    data = kinetics(root, path_prefix=clips / "train")
    assert len(data.cases("train")) == 2
    assert data.draw(data.cases("train")[1], 0).target.tolist() == [1]
    relative = kinetics(clips, lists={"train": str(root / "train.csv")}, path_prefix="train")
    assert relative.cases("train") == ("train/abseiling/c.mp4", "train/riding a bike/a b_000001_000011.mp4")


def test_mmactions_lists(clips) -> None:
    (clips / "train").rename(clips / "videos_train")
    (clips / "kinetics400_train_list_videos.txt").write_text(
        "abseiling/c.mp4 0\nriding a bike/a b_000001_000011.mp4 1\n"
    )
    data = kinetics(clips)
    assert data.cases("train")[0] == "videos_train/abseiling/c.mp4"
    assert data.draw("videos_train/abseiling/c.mp4", 0).target.tolist() == [0]


def test_labels_are_known_without_torch(clips, run_python) -> None:
    """Also those of lists, which `platform check` needs."""
    (clips / "train.csv").write_text("train/abseiling/c.mp4 2\n")
    code = (
        "import sys; from medvid_kinetics.config import KineticsOptions as Options; "
        f"print(Options(root={str(clips)!r}).target_info().names); "
        f"print(Options(root={str(clips)!r}, folder_layout='folders').target_info().names); "
        "print([name for name in ('torch', 'numpy', 'av') if name in sys.modules])"
    )
    assert run_python(code).splitlines() == [
        "('class 0', 'class 1', 'class 2')",
        "('abseiling', 'riding a bike')",
        "[]",
    ]


@pytest.fixture
def run_python():
    import subprocess

    def run(code: str) -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    return run
