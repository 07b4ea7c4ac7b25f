from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.data.images.index import find_images, find_pairs
from medvid.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_layout_of_medt_has_a_folder_for_each_split(tmp_path):
    for split, name in (("train", "01"), ("train", "02"), ("val", "03"), ("Test", "04")):
        touch(tmp_path, f"{split}/img/{name}.png", f"{split}/labelcol/{name}.png")
    index = find_pairs(tmp_path)
    assert index.splits == {"train": ("01", "02"), "validation": ("03",), "test": ("04",)}
    assert index.cases["04"].image == tmp_path / "Test/img/04.png"
    assert index.cases["04"].masks == (tmp_path / "Test/labelcol/04.png",)


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Training", "validation", "testing")])
def test_folders_of_splits_have_the_usual_names(tmp_path, names):
    for name in names:
        touch(tmp_path, f"{name}/images/{name}.png", f"{name}/masks/{name}.png")
    index = find_pairs(tmp_path)
    assert index.splits == {split: (name,) for split, name in zip(("train", "validation", "test"), names, strict=True)}
    touch(tmp_path, "val/images/a.png", "val/masks/a.png")
    with pytest.raises(DataError, match="are all folders of the validation split"):
        find_pairs(tmp_path)


def test_folders_of_splits_may_lie_in_those_of_images_and_masks(tmp_path):
    for split, name in (("train", "a"), ("val", "b")):
        touch(tmp_path, f"images/{split}/{name}.jpg", f"masks/{split}/{name}.png")
    touch(tmp_path, "images/extra/c.png", "masks/train/d.png")
    index = find_pairs(tmp_path)
    assert index.splits == {"train": ("a",), "validation": ("b",)}
    assert index.cases["b"].masks == (tmp_path / "masks/val/b.png",)
    assert "images/extra/c.png" in index.notes[0]
    assert "masks without an image: masks/train/d.png" in index.notes[1]
    touch(tmp_path, "images/test/e.jpg")
    with pytest.raises(DataError, match=r"1 mask is missing in .*: masks/test/e"):
        find_pairs(tmp_path)


def test_names_that_recur_in_another_split_get_its_name(tmp_path):
    for split in ("train", "test"):
        touch(tmp_path, f"{split}/img/01.png", f"{split}/labelcol/01.png")
    assert list(find_pairs(tmp_path).cases) == ["train_01", "test_01"]


@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("img", "labels"), ("image", "mask")])
def test_a_plain_pair_of_folders_has_no_splits(tmp_path, images, masks):
    touch(tmp_path, f"{images}/a.tif", f"{images}/B.JPG", f"{masks}/a.png", f"{masks}/B.bmp", f"{images}/.hidden.png")
    index = find_pairs(tmp_path)
    assert index.splits == {}
    assert {case: (files.image.name, files.masks[0].name) for case, files in index.cases.items()} == {
        "a": ("a.tif", "a.png"),
        "B": ("B.JPG", "B.bmp"),
    }


def test_folders_and_suffix_of_ones_own(tmp_path):
    touch(tmp_path, "x/scans/a.png", "x/truth/a_seg.png", "x/truth/b_seg.png", "x/truth/a.png")
    index = find_pairs(tmp_path, "x/scans", "x/truth", "_seg")
    assert index.cases["a"].masks == (tmp_path / "x/truth/a_seg.png",)
    assert index.notes == (
        f"1 file in {tmp_path} left out, masks without _seg at the end of their name: x/truth/a.png",
        f"1 file in {tmp_path} left out, masks without an image: x/truth/b_seg.png",
    )


def test_images_and_masks_side_by_side(tmp_path):
    touch(tmp_path, "train_1.bmp", "train_1_anno.bmp", "train_2.bmp", "train_2_anno.bmp")
    assert list(find_pairs(tmp_path, ".", ".", "_anno").cases) == ["train_1", "train_2"]
    with pytest.raises(DataError, match="both in") as caught:
        find_pairs(tmp_path, ".", ".")
    assert "mask_suffix" in caught.value.hint


def test_all_missing_masks_are_listed_at_once(tmp_path):
    touch(tmp_path, *(f"img/{number:02d}.png" for number in range(14)), "labelcol/05.png")
    with pytest.raises(DataError, match=r"13 masks are missing in .*: labelcol/00, .*labelcol/10 and 3 more"):
        find_pairs(tmp_path)


def test_masks_of_a_kind_that_is_not_read_are_named(tmp_path):
    touch(tmp_path, "img/a.png", "img/b.png", "labelcol/a.xml", "labelcol/b.json")
    with pytest.raises(DataError, match="2 masks are missing") as caught:
        find_pairs(tmp_path)
    assert "convert a.xml" in caught.value.hint


def test_folders_that_cannot_be_indexed(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no folder img, images, image"):
        find_pairs(tmp_path)
    touch(tmp_path, "img/notes.txt", "labelcol/a.png")
    with pytest.raises(DataError, match="no images"):
        find_pairs(tmp_path)
    touch(tmp_path, "img/a.png", "img/a.jpg")
    with pytest.raises(DataError, match=r"images with the same name: .*a\.jpg and .*a\.png"):
        find_pairs(tmp_path)


def test_images_to_predict_are_files_and_folders(tmp_path):
    touch(tmp_path, "new/a.png", "new/b.TIF", "new/readme.md", "c.jpg")
    assert list(find_images([tmp_path / "new", tmp_path / "c.jpg"]).cases) == ["a", "b", "c"]
    for path, reason in ((tmp_path / "new/readme.md", "is not an image"), (tmp_path / "d.png", "does not exist")):
        with pytest.raises(DataError, match=reason):
            find_images([path])
    touch(tmp_path, "other/a.png")
    assert list(find_images([tmp_path / "new/a.png", tmp_path / "other"]).cases) == ["new_a", "other_a"]
    touch(tmp_path, "new/a.jpg")
    with pytest.raises(DataError, match="images with the same name"):
        find_images([tmp_path / "new"])


def mask_names(root: Path, *arguments: str) -> dict[str, list[str]]:
    return {case: [path.name for path in files.masks] for case, files in find_pairs(root, *arguments).cases.items()}


def test_several_masks_of_an_image_belong_to_it_as_in_busi(tmp_path):
    names = (
        "benign (1)",
        "benign (1)_mask",
        "benign (1)_mask_1",
        "benign (1)_mask_2",
        "benign (11)",
        "benign (11)_mask",
    )
    touch(tmp_path, *(f"benign/{name}.png" for name in names))
    assert mask_names(tmp_path, "benign", "benign", "_mask") == {
        "benign (1)": ["benign (1)_mask.png", "benign (1)_mask_1.png", "benign (1)_mask_2.png"],
        "benign (11)": ["benign (11)_mask.png"],
    }


@pytest.mark.parametrize("further", ["a_mask1", "a_mask-2", "a_mask (3)", "a_mask_04"])
def test_a_number_behind_the_suffix_may_be_written_in_several_ways(tmp_path, further):
    touch(tmp_path, "img/a.png", "masks/a_mask.png", f"masks/{further}.png")
    assert mask_names(tmp_path, "img", "masks", "_mask")["a"] == sorted(["a_mask.png", f"{further}.png"])


def test_numbered_masks_without_a_suffix_belong_to_images_without_numbers(tmp_path):
    touch(tmp_path, "img/a.png", "img/b.png", "masks/a_1.png", "masks/a_2.png", "masks/b.png")
    assert mask_names(tmp_path) == {"a": ["a_1.png", "a_2.png"], "b": ["b.png"]}
    touch(tmp_path / "numbered", "img/c_0003.png", "masks/c_0003_1.png")
    assert mask_names(tmp_path / "numbered") == {"c_0003": ["c_0003_1.png"]}
    touch(tmp_path, "img/a_7.png", "masks/a.png", "masks/a_7.png")
    index = find_pairs(tmp_path)  # numbers are parts of names here
    assert [path.name for path in index.cases["a"].masks] == ["a.png"]
    assert f"2 files in {tmp_path} left out, masks without an image: masks/a_1.png, masks/a_2.png" in index.notes


def test_what_can_be_meant_in_two_ways_is_refused(tmp_path):
    touch(tmp_path, "one/img/a.png", "one/masks/a.png", "one/masks/a.tif")
    with pytest.raises(DataError, match=r"masks with the same name: .*a\.png and .*a\.tif"):
        find_pairs(tmp_path / "one")
    touch(tmp_path, "two/img/a.png", "two/masks/a.png", "two/labels/a.png")
    with pytest.raises(DataError, match="several folders of masks: masks, labels") as caught:
        find_pairs(tmp_path / "two")
    assert "dataset.masks" in caught.value.hint
    assert mask_names(tmp_path / "two", None, "labels") == {"a": ["a.png"]}
    for split in ("val", "validation"):
        touch(tmp_path, f"three/{split}/img/{split}.png", f"three/{split}/masks/{split}.png")
    with pytest.raises(DataError, match=r"val, validation in .* are all folders of the validation split"):
        find_pairs(tmp_path / "three")


def test_accents_may_be_written_in_either_form(tmp_path):
    touch(tmp_path, "img/Caf\u00e9.png", "masks/Cafe\u0301.png")
    assert list(mask_names(tmp_path)) == ["Caf\u00e9"]


def test_masks_beside_images_are_not_predicted_unless_named(tmp_path):
    touch(tmp_path, *(f"{name}.png" for name in ("x", "x_mask", "x_mask_1", "y_mask", "z")), "sub/a.png", "b.webp")
    index = find_images([tmp_path])
    assert list(index.cases) == ["x", "y_mask", "z"]
    assert [note.split(" left out, ")[1] for note in index.notes] == [
        "not one of .png, .tif, .tiff, .bmp, .jpg, .jpeg, .gif: b.webp",
        "in folders below it; to predict them, name these folders: sub/a.png",
        "masks of images beside them; to predict them anyway, name the files: x_mask.png, x_mask_1.png",
    ]
    assert list(find_images([tmp_path / "x_mask.png"]).cases) == ["x_mask"]
    assert list(find_images([tmp_path], "_seg").cases) == ["x", "x_mask", "x_mask_1", "y_mask", "z"]
    assert list(find_images([tmp_path, tmp_path / "z.png"]).cases) == ["x", "y_mask", "z"]


def test_a_folder_of_folders_is_searched_and_names_are_told_apart(tmp_path):
    touch(tmp_path, "p1/left.png", "p1/left_mask.png", "p2/left.jpg", "p2/deep/right.png", "notes.csv")
    index = find_images([tmp_path])
    assert sorted(index.cases) == ["p1_left", "p2_deep_right", "p2_left"]
    assert sorted(note.split(" left out, ")[1] for note in index.notes) == [
        "masks of images beside them; to predict them anyway, name the files: p1/left_mask.png",
        "not one of .png, .tif, .tiff, .bmp, .jpg, .jpeg, .gif: notes.csv",
    ]
    touch(tmp_path, "p3/masks/left.png")
    with pytest.raises(DataError, match=r"contains folders of masks.*p3/masks"):
        find_images([tmp_path])


FOLDERS = ("", "img/", "masks/", "img/sub/", "other/", "train/img/", "train/masks/", "val/img/", "labels/")
NAMES = ("a.png", "b.JPG", "a_1.png", "a.tif", "c.bmp", "d.gif", "e.webp", "f.dcm", "g", "n\u0303.png")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)), max_size=6, unique=True))
def test_every_file_is_used_refused_or_named(tmp_path_factory, extra):
    root = tmp_path_factory.mktemp("set")
    touch(root, "img/x.png", "img/y.png", "masks/x.png", "masks/y.png", *(folder + name for folder, name in extra))
    files = {path for path in root.rglob("*") if path.is_file()}
    try:
        index = find_pairs(root)
    except DataError:  # which stops the run
        return
    used = {path for case in index.cases.values() for path in (case.image, *case.masks)}
    assert used <= files
    told = "\n".join(index.notes)
    assert all(str(path.relative_to(root)) in told for path in files - used)
