from pathlib import Path

import pytest

from medvid.data.image_index import find_images, find_pairs
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
    assert index.cases["04"].mask == tmp_path / "Test/labelcol/04.png"


def test_names_that_recur_in_another_split_get_its_name(tmp_path):
    for split in ("train", "test"):
        touch(tmp_path, f"{split}/img/01.png", f"{split}/labelcol/01.png")
    assert list(find_pairs(tmp_path).cases) == ["train_01", "test_01"]


@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("img", "labels"), ("image", "mask")])
def test_a_plain_pair_of_folders_has_no_splits(tmp_path, images, masks):
    touch(tmp_path, f"{images}/a.tif", f"{images}/B.JPG", f"{masks}/a.png", f"{masks}/B.bmp", f"{images}/.hidden.png")
    index = find_pairs(tmp_path)
    assert index.splits == {}
    assert {case: (files.image.name, files.mask.name) for case, files in index.cases.items()} == {
        "a": ("a.tif", "a.png"),
        "B": ("B.JPG", "B.bmp"),
    }


def test_folders_and_suffix_of_ones_own(tmp_path):
    touch(tmp_path, "x/scans/a.png", "x/truth/a_seg.png", "x/truth/b_seg.png", "x/truth/a.png")
    index = find_pairs(tmp_path, "x/scans", "x/truth", "_seg")
    assert index.cases["a"].mask == tmp_path / "x/truth/a_seg.png"
    assert [path.name for path in index.strangers] == ["b_seg.png"]


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


def test_folders_that_cannot_be_indexed(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no folder img, images, image"):
        find_pairs(tmp_path)
    touch(tmp_path, "img/notes.txt", "labelcol/a.png")
    with pytest.raises(DataError, match="no images"):
        find_pairs(tmp_path)
    touch(tmp_path, "img/a.png", "img/a.jpg")
    with pytest.raises(DataError, match="two images are called a"):
        find_pairs(tmp_path)


def test_images_to_predict_are_files_and_folders(tmp_path):
    touch(tmp_path, "new/a.png", "new/b.TIF", "new/readme.md", "c.jpg")
    assert [files.id for files in find_images([tmp_path / "new", tmp_path / "c.jpg"])] == ["a", "b", "c"]
    for path, reason in ((tmp_path / "new/readme.md", "is no image"), (tmp_path / "d.png", "does not exist")):
        with pytest.raises(DataError, match=reason):
            find_images([path])
    touch(tmp_path, "other/a.png")
    with pytest.raises(DataError, match="two images are called a"):
        find_images([tmp_path / "new", tmp_path / "other"])
