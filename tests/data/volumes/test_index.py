import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.data.listing import is_harmless
from medvid.data.volumes import index as indexing
from medvid.data.volumes.description import describe
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.index import Index
from medvid.errors import DataError

find_cases = partial(indexing.find_cases, formats=shipped_formats())
find_volumes = partial(indexing.find_volumes, formats=shipped_formats())


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
    assert index.splits == {"train": ("img0001", "img0002")}
    assert index.notes == ()
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
    assert index.splits == {"train": ("a", "b"), "test": ("c",)}
    assert index.labelled == ("a", "b")


def test_training_and_test_images_of_one_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/a.nii.gz")
    with pytest.raises(DataError, match=r"images with the same name: .*imagesTr/a.nii.gz and .*imagesTs/a.nii.gz"):
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
    assert index.splits == {"train": ("p1", "p2"), "test": ("p3",)}
    assert describe(tmp_path).labels.names == ("background", "lesion")
    assert describe(tmp_path).channels == 2
    with pytest.raises(DataError, match=r"needs the channels 0000 to 0002, .*: p1 has 0000, 0001, p2 has 0000, 0001"):
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
    assert describe(tmp_path).labels.names == ("background", "spleen")
    (tmp_path / "dataset_0.json").rename(tmp_path / "mine.json")
    assert find_cases(tmp_path, datalist="mine.json").splits == index.splits
    assert describe(tmp_path, "mine.json").labels.names == ("background", "spleen")


def test_datalist_of_patient_folders_and_several_files(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{p}/{name}.nii.gz" for p in ("p1", "p2") for name in ("t1", "t2", "seg")))
    entries = [{"image": [f"{p}/t1.nii.gz", f"{p}/t2.nii.gz"], "label": f"{p}/seg.nii.gz"} for p in ("p1", "p2")]
    write_json(tmp_path, "dataset.json", {"training": entries, "modality": {"0": "T1", "1": "T2"}})
    assert files_of(tmp_path, find_cases(tmp_path)) == {
        f"{p}_t1": (f"{p}/t1.nii.gz", f"{p}/t2.nii.gz", f"{p}/seg.nii.gz") for p in ("p1", "p2")
    }


def test_a_list_goes_before_folders_and_a_layout_can_be_forced(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    write_json(tmp_path, "dataset.json", {"training": [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}]})
    for layout, found in (("auto", "datalist"), ("nnunet", "nnunet"), ("pairs", "pairs")):
        index = find_cases(tmp_path, layout)
        assert index.layout == found
        assert files_of(tmp_path, index) == {"a": ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")}
        assert index.notes == (() if layout == "auto" else ("the lists of cases in dataset.json are not used",))


def test_all_missing_files_are_listed_at_once(tmp_path: Path) -> None:
    touch(tmp_path, *(f"img/img{n:04d}.nii.gz" for n in range(1, 14)), "label/label0001.nii.gz")
    with pytest.raises(
        DataError, match=r"12 images have no label map in .*: img/img0002\.nii\.gz, .* and 2 more"
    ) as caught:
        find_cases(tmp_path)
    assert "img0011" in str(caught.value)
    assert "img0012" not in str(caught.value)
    content = [{"image": f"img/img{n:04d}.nii.gz", "label": f"label/{n}.nii.gz"} for n in range(1, 14)]
    write_json(tmp_path, "dataset.json", {"training": content})
    with pytest.raises(DataError, match=r"13 files are missing in .*: label/1\.nii\.gz, .* and 3 more"):
        find_cases(tmp_path)


@pytest.mark.parametrize("name", ["../outside.nii.gz", "/etc/passwd", "link/outside.nii.gz"])
def test_paths_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    root = touch(tmp_path / "data", "label/a.nii.gz")
    touch(tmp_path, "outside.nii.gz")
    (root / "link").symlink_to(tmp_path)
    write_json(root, "dataset_0.json", {"training": [{"image": name, "label": "label/a.nii.gz"}]})
    with pytest.raises(DataError, match=r"dataset_0\.json: training\[0\]: .* leads out of the data set's folder"):
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
        ('{"training": []}', "no cases found"),
        ('{"training": [{"image": "a.nii", "label": ["a.nii"]}]}', "is not the name of a file"),
        ('{"training": {"image": "a.nii"}}', "has to be a list of cases"),
        ('{"training": ["a\\u0000.nii"]}', r"training\[0\]: .* is not a valid file name"),
        (json.dumps({"training": ["a" * 300]}), r"training\[0\]: .* is not a valid file name"),
        ('{"training": ["circle/a.nii"]}', r"is not a valid file name|missing"),
        ('{"training": [{"image": "a.nii", "fold": "first"}]}', "a fold has to be a number, got 'first'"),
        ('{"dataset": {"a": {"image": "a.nii"}}}', r"dataset\.a: an entry has to be"),
        ('{"dataset": ["a.nii"]}', "dataset has to hold"),
        ('{"dataset": {"../a": {"images": ["a.nii"]}}}', r"the case '\.\./a' is not a valid file name"),
        ('{"dataset": {"a\\nb": {"images": ["a.nii"]}}}', "is not a valid file name"),
        ('{"training": ["a.nii"], "training": []}', "duplicate key 'training'"),
        ('{"training": [{"label": "a"}]}', "an entry has to be"),
        ('{"training": [3]}', "an entry has to be"),
    ],
)
def test_unusable_datalists(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "dataset_0.json").write_text(content)
    (tmp_path / "circle").symlink_to("circle")
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
    with pytest.raises(DataError, match=r"no \.nii\.gz, .* or \.img files"):
        find_cases(tmp_path)


def test_test_cases_may_have_label_maps(tmp_path: Path) -> None:
    touch(
        tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b.nii.gz", "imagesTs/c.nii.gz", "labelsTs/b.nii"
    )
    folders = find_cases(tmp_path)
    write_json(
        tmp_path,
        "dataset.json",
        {
            "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
            "test": ["./imagesTs/b.nii.gz", "./imagesTs/c.nii.gz"],
        },
    )
    for index in (folders, find_cases(tmp_path)):
        assert files_of(tmp_path, index)["b"] == ("imagesTs/b.nii.gz", "labelsTs/b.nii")
        assert index.cases["c"].label is None
        assert index.labelled == ("a",)
        assert index.splits["test"] == ("b", "c")


def test_test_images_of_a_list_that_most_people_do_not_have(tmp_path: Path) -> None:
    touch(tmp_path, "img/a.nii", "label/a.nii", "img/c.nii")
    content = {"training": [{"image": "img/a.nii", "label": "label/a.nii"}], "test": ["img/b.nii", "img/c.nii"]}
    write_json(tmp_path, "dataset.json", content)
    index = find_cases(tmp_path)
    assert (list(index.cases), index.splits["test"]) == (["a", "c"], ("c",))
    assert index.notes == ("1 of 2 test images of dataset.json do not exist and are left out: b",)
    (tmp_path / "img/c.nii").unlink()
    assert "test" not in find_cases(tmp_path).splits
    touch(tmp_path, "label/b.nii")  # it was scored, so it is missed
    with pytest.raises(DataError, match=r"1 file is missing in .*: img/c\.nii|2 files are missing"):
        find_cases(tmp_path)


def test_validation_images_without_label_maps(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii", "labelsTr/a.nii", "imagesVa/b.nii", "imagesTs/c.nii")
    folders = find_cases(tmp_path)
    content = {
        "training": [{"image": "imagesTr/a.nii", "label": "labelsTr/a.nii"}],
        "validation": [{"image": "imagesVa/b.nii"}],
        "test": ["imagesTs/c.nii"],
    }
    write_json(tmp_path, "dataset.json", content)
    for index, source in ((folders, "imagesVa"), (find_cases(tmp_path), "dataset.json")):
        assert {split: set(ids) for split, ids in index.splits.items()} == {"train": {"a"}, "test": {"b", "c"}}
        assert index.notes == (f"the validation images of {source} have no label maps: they are used as test images",)
    touch(tmp_path, "labelsVa/b.nii")
    assert find_cases(tmp_path).splits["validation"] == ("b",)


def test_files_beside_that_only_look_like_lists(tmp_path: Path) -> None:
    touch(tmp_path, "img/a.nii", "label/a.nii")
    write_json(tmp_path, "dataset_stats.json", [1, 2])
    write_json(tmp_path, "dataset_fingerprint.json", {"spacings": [[1, 1, 1]]})
    assert find_cases(tmp_path).notes == ()


def test_validation_folders(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}{split}/amos_{n:04d}.nii.gz" for kind in ("images", "labels") for split, n in SPLITS))
    index = find_cases(tmp_path)
    assert index.splits == {"train": ("amos_0000", "amos_0004"), "validation": ("amos_0001",)}
    (tmp_path / "labelsVa" / "amos_0001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"1 image has no label map in .*: imagesVa/amos_0001\.nii\.gz"):
        find_cases(tmp_path)


SPLITS = (("Tr", 0), ("Tr", 4), ("Va", 1))


@pytest.mark.parametrize("ending", [".nii.gz", ".NII.GZ", ".Nii"])
def test_numbers_of_patients_are_not_those_of_channels(tmp_path: Path, ending: str) -> None:
    """Ten scans of two sites, of which one each is called _0000."""
    names = [f"site{site}_{number:04d}" for site in "AB" for number in range(5)]
    touch(tmp_path, *(f"{folder}/{name}{ending}" for folder in ("imagesTr", "labelsTr") for name in names))
    index = find_cases(tmp_path)
    assert (index.layout, tuple(index.cases), index.notes) == ("pairs", tuple(names), ())
    assert all(case.label is not None and case.label.name == case.images[0].name for case in index.cases.values())


def test_some_images_numbered_and_others_not(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz")
    index = find_cases(tmp_path)
    assert index.layout == "pairs"
    assert files_of(tmp_path, index) == {
        "a": ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"),
        "b": ("imagesTr/b.nii.gz", "labelsTr/b.nii.gz"),
    }
    touch(tmp_path, "imagesTr/a_0001.nii.gz")
    with pytest.raises(DataError, match=r"1 image has no label map in .*: imagesTr/a_0001\.nii\.gz"):
        find_cases(tmp_path)
    assert find_cases(tmp_path, "nnunet", channels=2).notes == (
        f"1 file in {tmp_path} left out, not in the folders of images and label maps, or not named like the images "
        "there: imagesTr/b.nii.gz",
        f"1 file in {tmp_path} left out, label maps without an image: labelsTr/b.nii.gz",
    )


@pytest.mark.parametrize(
    ("names", "channels", "words"),
    [
        (("a_0000", "a_0001"), 1, "needs the channel 0000, each in one file: a has 0000, 0001"),
        (("a_0000", "a_0002"), 2, "needs the channels 0000 to 0001, each in one file: a has 0000, 0002"),
        (("a_0001",), 1, "a has 0001"),
    ],
)
def test_other_channels_than_are_declared(tmp_path: Path, names: tuple[str, ...], channels: int, words: str) -> None:
    touch(tmp_path, *(f"imagesTr/{name}.nii.gz" for name in names), "labelsTr/a.nii.gz")
    with pytest.raises(DataError, match=words) as caught:
        find_cases(tmp_path, channels=channels)
    assert "dataset.channels" in caught.value.hint


def test_label_maps_of_both_namings(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b_0000.nii.gz")
    with pytest.raises(DataError, match=r"1 label maps are named like the images in .*, 1 like cases") as caught:
        find_cases(tmp_path)
    assert "dataset.folder_layout" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ("img/p0.nii", "img/p0.nii.gz", "label/p0.nii"),
            r"images with the same name: .*img/p0\.nii and .*img/p0\.nii\.gz",
        ),
        (("img/p0.nii", "label/p0.nii", "label/p0.nii.gz"), r"img/p0\.nii has two label maps"),
        (("img/img1.nii", "label/label1.nii", "label/img1.nii"), r"img/img1\.nii has two label maps"),
        (("imagesTr/a_0000.nii", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii"), "a has 0000, 0000"),
        (("img/Case1.nii", "img/case1.nii", "label/case1.nii"), "images with the same name"),
        (("img/\u00e9.nii", "img/e\u0301.nii", "label/\u00e9.nii"), "images with the same name"),
        (("img/a.nii", "label/a.nii", "imagesTr/b.nii", "labelsTr/b.nii"), "has images in img and in imagesTr"),
    ],
)
def test_two_files_for_one_case(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        find_cases(tmp_path)


def test_names_on_disk_and_in_a_list_may_differ_in_the_form_of_accents(tmp_path: Path) -> None:
    touch(tmp_path, "im\u00e1genes/p\u00e9.nii", "label/pe\u0301.nii", "img/ n\u00e9 1.nii", "label/ ne\u0301 1.nii")
    assert files_of(tmp_path, find_cases(tmp_path)) == {" n\u00e9 1": ("img/ n\u00e9 1.nii", "label/ ne\u0301 1.nii")}
    entry = {"image": "./ima\u0301genes/pe\u0301.nii", "label": "label/p\u00e9.nii"}
    write_json(tmp_path, "dataset.json", {"training": [entry]})
    assert files_of(tmp_path, find_cases(tmp_path)) == {"p\u00e9": ("im\u00e1genes/p\u00e9.nii", "label/pe\u0301.nii")}


def test_paths_of_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "img/a.nii", "img/b.nii", "img/c d.nii", "label/a.nii", "label/b.nii", "label/c d.nii")
    entries = [
        {"image": str(tmp_path / "img/a.nii"), "label": "./label/a.nii"},
        {"image": "label/../img/b.nii", "label": "label//b.nii"},
        {"image": ["./img/c d.nii"], "label": "label/c d.nii"},
    ]
    write_json(tmp_path, "dataset.json", {"training": entries})
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path, Path()):
        assert files_of(root, find_cases(root)) == {
            name: (f"img/{name}.nii", f"label/{name}.nii") for name in ("a", "b", "c d")
        }


ENTRY = {"image": "img/a.nii", "label": "label/a.nii"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"training": [ENTRY, ENTRY]}, r"has images twice, or links to them: a\.nii"),
        ({"training": [ENTRY], "validation": [{"image": "./img/../img/a.nii"}]}, "has images twice"),
        ({"training": [ENTRY, {"image": "img/link.nii", "label": "label/b.nii"}]}, r"twice.*: a\.nii and link\.nii"),
        ({"training": [{"image": ["img/a.nii", "img/a.nii"], "label": "label/a.nii"}]}, "has images twice"),
        ({"training": [{"image": "img/a.nii", "label": "img/a.nii"}]}, "both images and label maps: a.nii"),
        ({"training": [ENTRY, {"image": "img/a.nii.gz", "label": "label/b.nii"}]}, "images with the same name"),
        ({"training": [{"image": "img/broken.nii", "label": "label/a.nii"}]}, "broken links: img/broken"),
    ],
)
def test_lists_that_count_something_twice(tmp_path: Path, content: dict, words: str) -> None:
    touch(tmp_path, "img/a.nii", "img/a.nii.gz", "label/a.nii", "label/b.nii")
    (tmp_path / "img/link.nii").symlink_to("a.nii")
    (tmp_path / "img/broken.nii").symlink_to("nowhere")
    write_json(tmp_path, "dataset.json", content)
    with pytest.raises(DataError, match=words):
        find_cases(tmp_path)


def test_links_in_folders(tmp_path: Path) -> None:
    touch(tmp_path, "disk/a.nii", "label/a.nii", "label/b.nii")
    (tmp_path / "img").symlink_to("disk")  # a folder on another disk
    assert find_cases(tmp_path).notes == (f"1 file in {tmp_path} left out, label maps without an image: label/b.nii",)
    (tmp_path / "disk/b.nii").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"broken links: img/b\.nii"):
        find_cases(tmp_path)
    (tmp_path / "disk/b.nii").unlink()
    (tmp_path / "disk/b.nii").hardlink_to(tmp_path / "disk/a.nii")
    with pytest.raises(DataError, match=r"has images twice, or links to them: a\.nii and b\.nii"):
        find_cases(tmp_path)


def test_ids_of_a_list_are_unique_or_refused(tmp_path: Path) -> None:
    names = ("a/b_t1.nii", "a_b/t1.nii", "c/t1.nii")
    touch(tmp_path, *names, "x.nii", "y.nii", "z.nii")
    entries = [{"image": name, "label": label} for name, label in zip(names, ("x.nii", "y.nii", "z.nii"), strict=True)]
    write_json(tmp_path, "dataset.json", {"training": entries})
    with pytest.raises(DataError, match=r"images with the same name: .*a/b_t1\.nii and .*a_b/t1\.nii"):
        find_cases(tmp_path)


def test_two_lists_have_to_agree(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{name}.nii" for kind in ("img", "label") for name in "ab"))
    entries = [{"image": f"img/{name}.nii", "label": f"label/{name}.nii"} for name in "ab"]
    write_json(tmp_path, "dataset.json", {"training": entries})
    write_json(tmp_path, "dataset_0.json", {"training": entries[::-1]})
    assert find_cases(tmp_path).notes == ("the lists of cases in dataset.json are not used",)
    write_json(tmp_path, "dataset_0.json", {"training": entries[:1], "validation": entries[1:]})
    with pytest.raises(DataError, match=r"dataset_0\.json and dataset\.json in .* list different cases") as caught:
        find_cases(tmp_path)
    assert "dataset.datalist" in caught.value.hint
    assert find_cases(tmp_path, datalist="dataset_0.json").splits == {"train": ("a",), "validation": ("b",)}


def test_nnunets_own_list(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.nii.gz", "y/2.nii.gz", "z/3.nii.gz", "imagesTr/other_0000.nii.gz", "labelsTr/other.nii.gz")
    content = {"case1": {"images": ["x/1.nii.gz", str(tmp_path / "y/2.nii.gz")], "label": "z/3.nii.gz"}}
    write_json(tmp_path, "dataset.json", {"dataset": content, "numTraining": 1})
    index = find_cases(tmp_path, channels=2)
    assert files_of(tmp_path, index) == {"case1": ("x/1.nii.gz", "y/2.nii.gz", "z/3.nii.gz")}
    left_out = "imagesTr/other_0000.nii.gz, labelsTr/other.nii.gz"
    assert index.notes == (f"2 files in {tmp_path} left out, not in dataset.json: {left_out}",)


def test_what_a_list_has_beside_is_said(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{name}.nii" for kind in ("img", "label") for name in "abc"), "more/x.npy")
    entries = [{"image": f"img/{name}.nii", "label": "label/a.nii", "weight": 2} for name in "ab"]
    write_json(
        tmp_path, "dataset.json", {"training": entries, "unlabelled": [{"image": "img/c.nii"}], "numTraining": 80}
    )
    assert set(find_cases(tmp_path).notes) == {
        "dataset.json: the lists unlabelled are ignored",
        "dataset.json: these keys of entries are ignored: weight",
        "dataset.json: numTraining is 80, but 2 cases are listed; the list is used",
        f"3 files in {tmp_path} left out, not in dataset.json: img/c.nii, label/b.nii, label/c.nii",
        f"1 file in {tmp_path} left out, not named like a volume: more/x.npy",
        "cases that share a label map: a and b",
    }


def test_nnunet_counts_its_cases(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    write_json(tmp_path, "dataset.json", {"channel_names": {"0": "CT"}, "numTraining": 2})
    with pytest.raises(DataError, match=r"dataset\.json: numTraining is 2, but there are 1 training cases"):
        find_cases(tmp_path)


def folds(root: Path, *numbers: object) -> Path:
    """A list of cases called 0, 1, ... with these folds."""
    touch(root, *(f"{kind}/{n}.nii" for kind in ("img", "label") for n in range(len(numbers))))
    entries = [{"image": f"img/{n}.nii", "label": f"label/{n}.nii", "fold": fold} for n, fold in enumerate(numbers)]
    write_json(root, "dataset.json", {"training": entries})
    return root


def test_folds_of_a_list(tmp_path: Path) -> None:
    index = find_cases(folds(tmp_path, 0, 1, "1", 2, None))
    assert index.fold_numbers == "0, 1, 2"
    assert index.fold(1) == {"train": ("0", "3", "4"), "validation": ("1", "2")}
    with pytest.raises(DataError, match=r"the list of cases has the folds 0, 1, 2, not 3"):
        index.fold(3)


def test_folds_beside_a_list_of_validation_cases_do_not_count(tmp_path: Path) -> None:
    folds(tmp_path, 0, 1)
    content = json.loads((tmp_path / "dataset.json").read_text())
    write_json(tmp_path, "dataset.json", {"training": content["training"][:1], "validation": content["training"][1:]})
    assert find_cases(tmp_path).fold(0) is None


NAMES = ("img/img1.nii.gz", "label/label1.nii.gz", "img/img2.nii.gz", "label/label2.nii.gz")
PARTS = st.sampled_from(
    ["a", "A", "img1", "img2", "label2", "img3", "img1_0000", "x_0001", "\u00e9", "e\u0301", "b c", "._img1"]
)
FOLDERS = st.sampled_from(
    ["", "img", "label", "IMG", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "imagesVa", "img/deep", "new"]
)
ENDINGS = st.sampled_from([".nii.gz", ".nii", ".NII.GZ", ".NII", ".nii.gz.tmp", ".nrrd", ".dcm", "", ".zip", ".json"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FOLDERS, PARTS, ENDINGS), max_size=4), st.booleans())
def test_any_file_is_used_refused_or_named_as_left_out(files: list[tuple[str, str, str]], listed: bool) -> None:
    with TemporaryDirectory() as folder:
        root = touch(Path(folder), *NAMES, *(f"{place}/{name}{ending}" for place, name, ending in files))
        if listed:
            write_json(root, "dataset.json", {"training": [{"image": NAMES[0], "label": NAMES[1]}]})
        refused = ""
        try:
            index = find_cases(root)
        except DataError as error:
            refused, index = str(error), Index("auto", {})
        used = {path for case in index.cases.values() for path in (*case.images, case.label)}
        said = [
            *refused.replace(",", "").split(" "),
            *(word for note in index.notes for word in note.split(": ")[-1].split(", ")),
        ]
        assert not refused or any((place and place in refused) or name in refused for place, name, _ in files)
        assert refused or index.cases.keys() >= {"img1"} | (set() if listed else {"img2"})
        for path in root.rglob("*"):
            if path.is_file() and not is_harmless(path) and not refused:
                assert path in used or str(path.relative_to(root)) in said


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("a/x.nii.gz", "a/y.NII", "a/notes.txt"), ("x", "y")),
        (("a/p1/t1.nii", "a/p2/t1.nii"), ("p1_t1", "p2_t1")),
        (("a/p1/x.nii", "a/p2/deep/y.nii"), ("x", "y")),
        (("a/x_0000.nii", "a/y_0003.nii"), ("x", "y_0003")),
    ],
)
def test_volumes_to_predict(tmp_path: Path, names: tuple[str, ...], ids: tuple[str, ...]) -> None:
    touch(tmp_path, *names)
    index = find_volumes([tmp_path / "a"])
    assert tuple(index.cases) == ids
    assert index.notes == ()
    assert all(case.label is None for case in index.cases.values())


def test_files_and_folders_to_predict_count_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii.gz", "b/x.nii.gz", "z_0000.nii.gz")
    assert [*find_volumes([tmp_path / "a", tmp_path / "z_0000.nii.gz", tmp_path / "a/x.nii.gz"]).cases] == ["x", "z"]
    assert [*find_volumes([tmp_path / "a", tmp_path / "b"]).cases] == ["a_x", "b_x"]
    assert [*find_volumes([tmp_path / "b/x.nii.gz", tmp_path / "a/x.nii.gz"]).cases] == ["b_x", "a_x"]


def test_volumes_of_several_channels_to_predict(tmp_path: Path) -> None:
    touch(tmp_path, "a/x_0000.nii.gz", "a/x_0001.nii.gz", "b/whole.nii")
    for paths in (["a"], ["a/x_0000.nii.gz"], ["a/x_0001.nii.gz", "a/x_0000.nii.gz"], ["a", "b"]):
        case = find_volumes([tmp_path / path for path in paths], channels=2).cases["x"]
        assert [image.name for image in case.images] == ["x_0000.nii.gz", "x_0001.nii.gz"]
    assert len(find_volumes([tmp_path / "b"], channels=2).cases["whole"].images) == 1


def test_channels_are_not_taken_for_patients(tmp_path: Path) -> None:
    names = [f"a/x_{n:04d}.nii.gz" for n in range(2)]
    touch(tmp_path, *names)
    for paths in (["a"], names):
        with pytest.raises(DataError, match=r"each case needs the channel 0000, .*: x has 0000, 0001") as caught:
            find_volumes([tmp_path / path for path in paths])
        assert "dataset.folder_layout: pairs" in caught.value.hint
    with pytest.raises(DataError, match="x has 0000, 0001"):
        find_volumes([tmp_path / "a"], channels=3)
    assert [*find_volumes([tmp_path / "a"], layout="pairs").cases] == ["x_0000", "x_0001"]
    assert [*find_volumes([tmp_path / names[0]]).cases] == ["x"]


def test_what_is_not_predicted_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii", "a/y.npy", "a/more/z.nii")
    assert find_volumes([tmp_path / "a"]).notes == (
        f"1 file in {tmp_path / 'a'} left out, in folders below it: pass them too: more/z.nii",
        f"1 file in {tmp_path / 'a'} left out, not named like a volume: y.npy",
    )


def test_unusable_paths_to_predict(tmp_path: Path) -> None:
    touch(tmp_path, "c/notes.txt", "d/imagesTr/x.nii", "d/labelsTr/x.nii", "e/X.nii", "e/x.nii.gz")
    touch(tmp_path, "f/p1/t1.nii", "f/out/p1_t1.nii.gz", "f/out/pictures/p1_t1.png")
    (tmp_path / "broken.nii").symlink_to("nowhere")
    for path, words in (
        ("c", r"no \.nii\.gz"),
        ("c/notes.txt", "not named"),
        ("absent.nii.gz", "does not exist"),
        ("broken.nii", "does not exist"),
        ("d", "contains folders of masks, .*: labelsTr"),
        ("f", "contains folders of masks, .*: out"),
        ("e", "images with the same name"),
    ):
        with pytest.raises(DataError, match=words):
            find_volumes([tmp_path / path])
