from pathlib import Path
from typing import Any

import pytest

from medvid.errors import DataError
from medvid.plugin.specs import load_attribute
from medvid_videos.config import VideosOptions
from medvid_videos.data import Videos
from medvid_videos.plugin import medvid_components


@pytest.fixture
def film(films: Any, tmp_path: Path) -> bytes:
    return films.write(tmp_path / "film.mp4", films.numbered(12)).read_bytes()


def fill(root: Path, film: bytes, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(film)
    return root


def videos(root: Path, **options: object) -> Videos:
    return Videos(VideosOptions.model_validate({"root": root, "frames": 4, "size": 32, **options}))


def test_the_spec_resolves() -> None:
    spec = {spec.name: spec for spec in medvid_components()}["videos"]
    assert spec.demo == ""
    assert load_attribute(spec.target) is Videos
    assert load_attribute(spec.config) is VideosOptions


def test_a_share_of_each_class_is_held_out(tmp_path, film) -> None:
    names = [f"a/{number}.mp4" for number in range(10)] + [f"b/{number}.mp4" for number in range(5)] + ["c/0.mp4"]
    root = fill(tmp_path / "data", film, *names)
    data = videos(root)
    train, validation = data.cases("train"), data.cases("validation")
    assert sorted(train + validation) == sorted(names)
    assert [sum(case.startswith(name) for case in validation) for name in "abc"] == [2, 1, 0]
    assert videos(root).cases("validation") == validation
    assert videos(root, split_seed=1).cases("validation") != validation
    assert len(videos(root, validation_fraction=0.5).cases("validation")) == 7
    assert len(videos(root, validation_fraction=0).cases("train")) == 16
    assert data.draw("b/1.mp4", 0).target.tolist() == [1]


def test_folders_of_splits(tmp_path, film) -> None:
    root = fill(tmp_path / "data", film, "train/a/1.mp4", "train/b/2.mp4", "validation/b/3.mp4", "test/a/4.mp4")
    data = videos(root)
    assert data.cases("train") == ("train/a/1.mp4", "train/b/2.mp4")
    assert data.cases("validation") == ("validation/b/3.mp4",)
    assert data.cases("test") == ("test/a/4.mp4",)


def test_clips_for_validation_are_held_out_of_those_to_train_on(tmp_path, film) -> None:
    train = [f"train/{name}/{number}.mp4" for name in "ab" for number in range(5)]
    root = fill(tmp_path / "data", film, *train, "test/a/7.mp4", "test/b/8.mp4")
    data = videos(root)
    assert sorted(data.cases("train") + data.cases("validation")) == train
    assert [case.split("/")[1] for case in data.cases("validation")] == ["a", "b"]
    assert data.cases("test") == ("test/a/7.mp4", "test/b/8.mp4")


def test_lists_with_names_of_classes(tmp_path, film) -> None:
    root = fill(tmp_path / "data", film, *(f"clips/patient {number}.mp4" for number in range(6)))
    lines = [f"clips/patient {number}.mp4,{'normal heart' if number % 2 else 'failure'}" for number in range(6)]
    (root / "clips.csv").write_text("path,label\n" + "\n".join(lines))
    data = videos(root, lists={"all": "clips.csv"})
    assert data.target_info.names == ("failure", "normal heart")
    assert (len(data.cases("train")), len(data.cases("validation"))) == (4, 2)
    assert data.draw("clips/patient 1.mp4", 0).target.tolist() == [1]
    for split, part in (("train", lines[:4]), ("val", lines[4:])):
        (root / f"{split}.csv").write_text("\n".join(part))
    assert videos(root).cases("validation") == ("clips/patient 4.mp4", "clips/patient 5.mp4")


def test_a_folder_that_holds_nothing_of_this(tmp_path) -> None:
    with pytest.raises(DataError, match="neither lists"):
        videos(tmp_path).cases("train")
    with pytest.raises(ValueError, match="or one list: all"):
        videos(tmp_path, lists={"all": "a", "train": "b"})
