"""A user's own segmented videos: which mask is of which frame, what is refused, and what is drawn and written."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid_video_masks.config import VideoMasksOptions
from medvid_video_masks.data import VideoMasks

LENGTH, SIZE = 10, (24, 32)


def grays(length: int = LENGTH) -> np.ndarray:
    """Frames that are told apart by their brightness."""
    return np.full((length, *SIZE, 3), 1, np.uint8) * (20 * np.arange(length, dtype=np.uint8)[:, None, None, None] + 20)


def film(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"qp": "4", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def mask(column: int) -> np.ndarray:
    """A bar at a column."""
    drawn = np.zeros(SIZE, np.uint8)
    drawn[4:20, column : column + 3] = 255
    return drawn


def save(path: Path, drawn: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn).save(path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    film(path, grays())
    return path


@pytest.fixture
def root(clip: Path, tmp_path: Path) -> Path:
    """Two videos, the first with masks of the frames 2 and 7."""
    for name in ("P1_a", "P2_b"):
        place = tmp_path / "data" / "videos" / f"{name}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(clip)
    for number in (2, 7):
        save(tmp_path / "data/masks/P1_a" / f"{number:05d}.png", mask(number))
    save(tmp_path / "data/masks/P2_b/img_4_1.png", mask(4))
    return tmp_path / "data"


def opened(root: Path, **options: Any) -> VideoMasks:
    (root / "masks/P2_b/img_4_1.png").unlink(missing_ok=True)
    block: dict[str, Any] = {"frames": 4, "size": SIZE, "augment": (), "validation_fraction": 0, "mean": (0,) * 3}
    return VideoMasks(VideoMasksOptions(**{"root": root, "std": (1,) * 3, **block, **options}))


def refused(root: Path, **options: Any) -> str:
    def prepare() -> None:
        data = opened(root, **options)
        data.prepare(data.cases("train"), lambda *_: None)

    with pytest.raises(DataError) as error:
        prepare()
    return f"{error.value} | {error.value.hint}"


@pytest.mark.parametrize("first", [0, 1])
def test_a_mask_is_of_the_frame_that_its_number_says(root: Path, first: int) -> None:
    case = opened(root, first_frame=first).open_case("P1_a")
    assert [*case.annotated] == [2 - first, 7 - first]
    assert np.array_equal(case.frame_truth(7 - first), mask(7) > 0)
    assert case.grid.native_shape == (LENGTH, *SIZE)
    shown = [float(picture.mean()) for picture in case.pictures([2, 7])]
    assert shown == pytest.approx([60, 160], abs=4)


def test_other_frames_are_unknown(root: Path) -> None:
    truth = opened(root).open_case("P1_a").native_truth()
    assert (truth[[0, 1, 3, 4, 5, 6, 8, 9]] == UNKNOWN).all()
    assert np.array_equal(truth[2], mask(2) > 0)


def test_a_clip_has_an_annotated_frame_and_its_mask_lies_on_that_frame(root: Path) -> None:
    data = opened(root, frames=3)
    seen = set()
    for seed in range(40):
        batch = data.draw("P1_a", seed).to(torch.device("cpu"))
        levels = batch.input[0, 0].mean(dim=(1, 2)) * 255 / 20 - 1  # the numbers of the frames
        known = [place for place in range(3) if (batch.target[0, place] != UNKNOWN).any()]
        assert len(known) == 1
        number = round(float(levels[known[0]]))
        assert np.array_equal(batch.target[0, known[0]].numpy(), mask(number) > 0)
        seen.add((number, known[0]))
    assert seen == {(2, 0), (2, 1), (2, 2), (7, 0), (7, 1), (7, 2)}


def test_a_video_shorter_than_a_clip_ends_with_its_last_frame_again(root: Path) -> None:
    batch = opened(root, frames=LENGTH + 3).draw("P1_a", 0).to(torch.device("cpu"))
    assert batch.input.shape == (1, 3, LENGTH + 3, *SIZE)
    assert torch.equal(batch.input[0, :, -1], batch.input[0, :, LENGTH - 1])
    assert (batch.target[0, LENGTH:] == UNKNOWN).all()


def test_a_crop_takes_the_same_part_of_frames_and_masks(root: Path) -> None:
    data = opened(root, crop=(16, 8), frames=1)
    whole = torch.from_numpy((mask(2) > 0).astype(np.int64))
    found = []
    for seed in range(20):
        batch = data.draw("P1_a", seed)
        assert batch.input.shape == (1, 3, 1, 16, 8)
        found.append(int((batch.target == 1).sum()))
    assert max(found) > 0 == min(found)
    assert int(whole.sum()) >= max(found)


def test_masks_in_a_nifti_file_are_frame_row_column(root: Path) -> None:
    volume = np.full((LENGTH, *SIZE), 9, np.uint8)
    volume[3], volume[8] = mask(3) > 0, mask(8) > 0
    volume[8, :2] = 9
    nib.save(nib.Nifti1Image(volume, np.eye(4)), root / "masks/P2_b.nii.gz")
    case = opened(root, mask_values="indexed", ignore=9).open_case("P2_b")
    assert [*case.annotated] == [3, 8]
    assert np.array_equal(case.frame_truth(3), mask(3) > 0)
    assert (case.frame_truth(8)[:2] == UNKNOWN).all()
    nib.save(nib.Nifti1Image(volume.transpose(1, 2, 0).copy(), np.eye(4)), root / "masks/P2_b.nii.gz")
    found = refused(root, mask_values="indexed", ignore=9, split={"train": ["P2_b"]})
    assert "frame" in found


def test_a_palette_gives_several_labels(root: Path) -> None:
    image = Image.fromarray((mask(3) > 0).astype(np.uint8) * np.uint8(2))
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(root / "masks/P1_a/00003.png")
    for number in (2, 7):
        (root / f"masks/P1_a/{number:05d}.png").unlink()
    case = opened(root, mask_values="indexed", labels=("background", "one", "two")).open_case("P1_a")
    assert np.array_equal(case.frame_truth(3), 2 * (mask(3) > 0))


def test_masks_with_several_numbers_need_a_pattern(root: Path) -> None:
    save(root / "masks/P2_b/img_4_of_10.png", mask(4))
    assert "img_4_of_10.png has 2 numbers" in refused(root)
    (root / "masks/P1_a/00002.png").rename(root / "masks/P1_a/img_2_of_10.png")
    (root / "masks/P1_a/00007.png").unlink()
    assert [*opened(root, mask_name="img_{frame}_of_10").open_case("P2_b").annotated] == [4]
    assert "not named like dataset.mask_name" in refused(root, mask_name="mask_{frame}")
    with pytest.raises(ValidationError, match=r"has to have \{frame\} once"):
        VideoMasksOptions(root=root, mask_name="img")


def test_what_does_not_fit_is_a_sentence(root: Path) -> None:
    save(root / "masks/P1_a/00010.png", mask(1))
    found = refused(root)
    assert "a label map of frame 10, counted from 0, but" in found
    assert "has 10 frames, 0 to 9 | correct the numbers" in found
    (root / "masks/P1_a/00010.png").unlink()
    save(root / "masks/P1_a/2.png", mask(1))
    assert "two masks of one frame: " in refused(root)
    (root / "masks/P1_a/2.png").unlink()
    save(root / "masks/P1_a/00002.png", mask(1)[:12])
    assert "has 32 x 12 pixels, the frames of the video 32 x 24" in refused(root)
    save(root / "masks/P1_a/00002.png", np.full(SIZE, 100, np.uint8))
    assert "neither black nor white" in refused(root)
    for path in (root / "masks/P1_a").iterdir():
        path.unlink()
    assert "none of the 2 videos in" in refused(root)
    (root / "masks").rename(root / "other")
    assert re.search("has no folder masks, mask, labels, label", refused(root))


def test_videos_without_masks_are_left_out_and_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(root / "masks/stranger/00001.png", mask(1))
    assert opened(root).labelled() == ("P1_a",)
    assert "1 videos without masks are left out: P2_b" in caplog.text
    assert "masks without a video" in caplog.text


def test_patients_and_split_folders(root: Path) -> None:
    save(root / "masks/P2_b/3.png", mask(3))
    data = opened(root, patient_pattern=r"^(P\d)_", validation_fraction=0.5)
    assert data.groups() == {"P1_a": "P1", "P2_b": "P2"}
    assert {*map(len, data.division.values())} == {1}
    assert "finds no group" in refused(root, patient_pattern="Q")
    for split, name in (("train", "P1_a"), ("val", "P2_b")):
        for kind, one in (("videos", f"{name}.mp4"), ("masks", name)):
            (root / split / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / one).rename(root / split / kind / one)
    assert opened(root).division == {"train": ("P1_a",), "validation": ("P2_b",)}


@pytest.mark.parametrize("answers", ["nifti", "png"])
def test_answers_are_written_frame_by_frame(root: Path, tmp_path: Path, answers: str) -> None:
    case = opened(root, answers=answers).open_case("P1_a")
    labels = np.stack([mask(number) > 0 for number in range(LENGTH)]).astype(np.uint8)
    paths = case.write(labels, tmp_path)
    if answers == "nifti":
        found = nib.load(paths[0])
        assert found.header.get_zooms() == pytest.approx((0.04, 1, 1))
        assert np.array_equal(found.get_fdata(), labels)
    else:
        assert [path.name for path in paths[:2]] == ["00000.png", "00001.png"]
        assert all(np.array_equal(np.asarray(Image.open(path)), one) for path, one in zip(paths, labels, strict=True))


def test_a_folder_of_frames_is_a_video(root: Path) -> None:
    for number, frame in enumerate(grays()):
        save(root / "videos/P3_c" / f"{number + 1:04d}.png", frame)
    save(root / "masks/P3_c/5.png", mask(5))
    case = opened(root, frame_files={"rate": 10}).open_case("P3_c")
    assert case.grid.native_spacing == pytest.approx((0.1, 1, 1))
    assert [round(float(picture.mean())) for picture in case.pictures([5, 6])] == [120, 140]
