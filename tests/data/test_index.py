import json
from pathlib import Path

import pytest

from medvid.data.description import describe
from medvid.data.index import Index, find_cases, find_volumes
from medvid.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write_json(root: Path, name: str, content: object) -> None:
    (root / name).write_text(json.dumps(content))


def files_of(root: Path, index: Index) -> dict[str, tuple[str, ...]]:
    return {
        case.id: tuple(path.relative_to(root).as_posix() for path in (*case.images, case.label) if path)
        for case in index.cases.values()
    }


def test_the_layout_of_the_download(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{kind}/{kind}{n:04d}.nii.gz" for kind in ("img", "label") for n in (1, 2)), "img/._img0001.nii.gz"
    )
    index = find_cases(tmp_path)
    assert index.layout == "pairs"
    assert files_of(tmp_path, index) == {
        "img0001": ("img/img0001.nii.gz", "label/label0001.nii.gz"),
        "img0002": ("img/img0002.nii.gz", "label/label0002.nii.gz"),
    }
    assert index.splits == {}
    assert index.labelled == ("img0001", "img0002")


def test_folders_of_equal_names_and_a_test_folder(tmp_path: Path) -> None:
    touch(
        tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTr/b.nii", "labelsTr/b.nii.gz", "imagesTs/c.nii.gz"
    )
    index = find_cases(tmp_path)
    assert files_of(tmp_path, index) == {
        "a": ("imagesTr/a.nii.gz", "labelsTr/a.nii.gz"),
        "b": ("imagesTr/b.nii", "labelsTr/b.nii.gz"),
        "c": ("imagesTs/c.nii.gz",),
    }
    assert index.splits == {"test": ("c",)}
    assert index.labelled == ("a", "b")


def test_training_and_test_images_of_one_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/a.nii.gz")
    with pytest.raises(DataError, match="training and test images have the same names: a"):
        find_cases(tmp_path)


def test_nnunet_raw(tmp_path: Path) -> None:
    images = [f"imagesTr/{case}_{c:04d}.nii.gz" for case in ("p1", "p2") for c in range(2)]
    touch(
        tmp_path,
        *images,
        "labelsTr/p1.nii.gz",
        "labelsTr/p2.nii.gz",
        "imagesTs/p3_0000.nii.gz",
        "imagesTs/p3_0001.nii.gz",
    )
    write_json(
        tmp_path, "dataset.json", {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "lesion": 1}}
    )
    index = find_cases(tmp_path, channels=2)
    assert index.layout == "nnunet"
    assert files_of(tmp_path, index)["p1"] == (images[0], images[1], "labelsTr/p1.nii.gz")
    assert index.splits == {"test": ("p3",)}
    assert describe(tmp_path).labels == ("background", "lesion")
    assert describe(tmp_path).channels == 2
    with pytest.raises(DataError, match=r"3 files are missing.*p1_0002.*p2_0002.*p3_0002"):
        find_cases(tmp_path, channels=3)


def test_datalist_with_splits(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "img/a.nii.gz",
        "img/b.nii.gz",
        "img/c.nii.gz",
        "label/a.nii.gz",
        "label/b.nii.gz",
        "imagesTr/x.nii.gz",
    )
    content = {
        "labels": {"0": "background", "1": "spleen"},
        "training": [{"image": "./img/a.nii.gz", "label": "label/a.nii.gz"}],
        "validation": [{"image": "img/b.nii.gz", "label": "label/b.nii.gz"}],
        "test": ["img/c.nii.gz"],
    }
    write_json(tmp_path, "dataset_0.json", content)
    index = find_cases(tmp_path)
    assert index.layout == "datalist"
    assert index.splits == {"train": ("a",), "validation": ("b",), "test": ("c",)}
    assert files_of(tmp_path, index)["c"] == ("img/c.nii.gz",)
    assert describe(tmp_path).labels == ("background", "spleen")
    (tmp_path / "dataset_0.json").rename(tmp_path / "mine.json")
    assert find_cases(tmp_path, datalist="mine.json").splits == index.splits
    assert describe(tmp_path, "mine.json").labels == ("background", "spleen")


def test_datalist_of_patient_folders_and_several_files(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{p}/{name}.nii.gz" for p in ("p1", "p2") for name in ("t1", "t2", "seg")))
    entries = [{"image": [f"{p}/t1.nii.gz", f"{p}/t2.nii.gz"], "label": f"{p}/seg.nii.gz"} for p in ("p1", "p2")]
    write_json(tmp_path, "dataset.json", {"training": entries, "modality": {"0": "T1", "1": "T2"}})
    assert files_of(tmp_path, find_cases(tmp_path)) == {
        f"{p}_t1": (f"{p}/t1.nii.gz", f"{p}/t2.nii.gz", f"{p}/seg.nii.gz") for p in ("p1", "p2")
    }


def test_nnunet_goes_before_a_dataset_json_and_a_layout_can_be_forced(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    write_json(tmp_path, "dataset.json", {"training": [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}]})
    assert find_cases(tmp_path).layout == "nnunet"
    assert files_of(tmp_path, find_cases(tmp_path, "pairs"))["a"] == ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(DataError, match=r"1 file is missing in .*: imagesTr/a\.nii\.gz"):
        find_cases(tmp_path, "datalist")


def test_all_missing_files_are_listed_at_once(tmp_path: Path) -> None:
    touch(tmp_path, *(f"img/img{n:04d}.nii.gz" for n in range(1, 14)), "label/label0001.nii.gz")
    with pytest.raises(
        DataError, match=r"12 files are missing in .*: label/label0002\.nii\.gz, .* and 2 more"
    ) as caught:
        find_cases(tmp_path)
    assert "label0011" in str(caught.value)
    assert "label0012" not in str(caught.value)


@pytest.mark.parametrize("name", ["../outside.nii.gz", "/etc/passwd", "link/outside.nii.gz"])
def test_paths_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    root = touch(tmp_path / "data", "label/a.nii.gz")
    touch(tmp_path, "outside.nii.gz")
    (root / "link").symlink_to(tmp_path)
    write_json(root, "dataset_0.json", {"training": [{"image": name, "label": "label/a.nii.gz"}]})
    with pytest.raises(DataError, match=r"dataset_0\.json: train: .* leads out of the data set's folder"):
        find_cases(root)


def test_a_folder_that_is_a_link_itself(tmp_path: Path) -> None:
    touch(tmp_path / "data", "img/a.nii.gz", "label/a.nii.gz")
    write_json(
        tmp_path / "data", "dataset_0.json", {"training": [{"image": "img/a.nii.gz", "label": "label/a.nii.gz"}]}
    )
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert list(find_cases(tmp_path / "link").cases) == ["a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "JSON object"),
        ('{"training": []}', "lists no cases"),
        ('{"training": [{"label": "a"}]}', "an entry has to be"),
        ('{"training": [3]}', "an entry has to be"),
    ],
)
def test_unusable_datalists(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "dataset_0.json").write_text(content)
    with pytest.raises(DataError, match=words):
        find_cases(tmp_path)


def test_unusable_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folder .*absent does not exist"):
        find_cases(tmp_path / "absent")
    with pytest.raises(DataError, match=r"no cases found in .*img, imagesTr"):
        find_cases(tmp_path)
    with pytest.raises(DataError, match=r"has no mine\.json"):
        find_cases(tmp_path, datalist="mine.json")
    (tmp_path / "img").mkdir()
    with pytest.raises(DataError, match=r"no \.nii\.gz or \.nii files"):
        find_cases(tmp_path)


def test_volumes_to_predict(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii.gz", "a/y.nii", "a/notes.txt", "z_0000.nii.gz")
    cases = find_volumes([tmp_path / "a", tmp_path / "z_0000.nii.gz", tmp_path / "a" / "x.nii.gz"])
    assert [case.id for case in cases] == ["x", "y", "z"]
    assert all(case.label is None for case in cases)


def test_volumes_of_several_channels_to_predict(tmp_path: Path) -> None:
    touch(tmp_path, "a/x_0000.nii.gz", "a/x_0001.nii.gz")
    for path in (tmp_path / "a", tmp_path / "a" / "x_0000.nii.gz"):
        (case,) = find_volumes([path], channels=2)
        assert case.id == "x"
        assert [image.name for image in case.images] == ["x_0000.nii.gz", "x_0001.nii.gz"]


def test_unusable_paths_to_predict(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii.gz", "b/x.nii.gz", "c/notes.txt")
    with pytest.raises(DataError, match="have the same name"):
        find_volumes([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(DataError, match=r"no \.nii\.gz"):
        find_volumes([tmp_path / "c"])
    with pytest.raises(DataError, match="not named"):
        find_volumes([tmp_path / "c" / "notes.txt"])
    with pytest.raises(DataError, match="does not exist"):
        find_volumes([tmp_path / "absent.nii.gz"])
