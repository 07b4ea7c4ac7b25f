"""A video data set from its files to batches and cases."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medvid.data.batch import Batch
from medvid.data.loading.batches import training_batches
from medvid.data.loading.workers import Loading
from medvid.data.transforms.colour import ColorJitter, RandAugment
from medvid.data.transforms.erasing import RandomErasing
from medvid.data.transforms.options import ColorJitterOptions, RandAugmentOptions, RandomErasingOptions
from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.options import ListedVideoOptions
from medvid.data.videos.reader import VideoReadError
from medvid.errors import DataError

PLAIN = {"short_side": [32, 32]}
UNCHANGED = {"mean": [0, 0, 0], "std": [1, 1, 1], "size": 32}


def nothing(done: int, total: int) -> None: ...


def dataset(root: Path, **options: object) -> VideoDataset:
    values = {"frames": 4, "rate": 3, **PLAIN, **UNCHANGED, **options}
    return VideoDataset(ListedVideoOptions.model_validate({"name": "videos", "root": root, **values}))


@pytest.fixture(scope="module")
def shared(films: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds each, at 30, 15 and 30 frames per second; 32 x 48 pixels. Not to be changed."""
    root = tmp_path_factory.mktemp("videos")
    for name, count, fps in (("train/a/1.mp4", 60, 30), ("train/b/x 2.mp4", 30, 15), ("val/a/3.mp4", 60, 30)):
        films.write(root / name, films.numbered(count, (32, 48)), fps=fps)
    return root


def numbers(films: Any, clip: torch.Tensor) -> list[int]:
    """Numbers of the frames of a clip (3, T, 32, W), values in [0, 1]."""
    frames = (clip * 255).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()
    return films.numbers(frames)


def wide(options: VideoDataset, clip: str, seed: int) -> list[int]:
    """Numbers of the frames of a training clip; the crop of 32 of 48 columns always shows the middle ones."""
    frames = options.draw(clip, seed).input[0].permute(1, 2, 3, 0).numpy()
    # Wherever the crop lies, its first column shows the tens and its last the ones.
    digits = ((frames[:, 16][:, [0, -1]].mean(axis=2) - 25) / 20).round().astype(int)
    return (10 * digits[:, 0] + digits[:, 1]).tolist()


def test_a_sample_is_a_clip_with_its_label(shared) -> None:
    data = dataset(shared)
    assert data.cases("train") == ("train/a/1.mp4", "train/b/x 2.mp4")
    assert data.cases("validation") == ("val/a/3.mp4",)
    assert data.target_info.names == ("a", "b")
    assert (data.input_info.axes, data.input_info.channels, data.input_info.size) == ("video", 3, (4, 32, 32))
    batch = data.draw("train/b/x 2.mp4", 0)
    assert (batch.input.shape, batch.input.dtype) == ((1, 3, 4, 32, 32), torch.uint8)
    assert (batch.target.tolist(), batch.target.dtype, batch.cases) == ([1], torch.int64, ("train/b/x 2.mp4",))
    assert batch.input[0].is_contiguous()


def test_frames_are_rate_apart_in_time_whatever_the_frame_rate(shared) -> None:
    data = dataset(shared, rate=6)
    for seed in range(8):
        assert set(np.diff(wide(data, "train/a/1.mp4", seed))) == {6}
        assert set(np.diff(wide(data, "train/b/x 2.mp4", seed))) == {3}
    starts = {wide(data, "train/a/1.mp4", seed)[0] for seed in range(60)}
    assert len(starts) > 20
    assert max(starts) <= 41


def test_the_same_seed_gives_the_same_sample_in_any_process(shared) -> None:
    data = dataset(shared, short_side=None, resized_crop={}, rate_jitter=[0.5, 2])
    data.transforms = (
        ColorJitter(ColorJitterOptions()),
        RandAugment(RandAugmentOptions()),
        RandomErasing(RandomErasingOptions()),
    )
    state = torch.get_rng_state()
    first = data.draw("train/a/1.mp4", 7)
    assert torch.equal(torch.get_rng_state(), state)
    again = pickle.loads(pickle.dumps(data)).draw("train/a/1.mp4", 7)
    assert torch.equal(first.input, again.input)
    assert not torch.equal(first.input, data.draw("train/a/1.mp4", 8).input)


def test_loader_workers_give_what_this_process_does(shared) -> None:
    data = dataset(shared, repeats=2)
    loaded = [
        list(
            training_batches(data, data.cases("train"), seed=1, batch_size=2, first=0, stop=3, loading=Loading(workers))
        )
        for workers in (0, 2)
    ]
    for one, other in zip(*loaded, strict=True):
        assert one.input.shape == (4, 3, 4, 32, 32)
        assert torch.equal(one.input, other.input)
        assert one.cases == other.cases


def test_repeats_are_different_views_of_the_same_frames(shared) -> None:
    batch = dataset(shared, size=24, short_side=[30, 30], repeats=3).draw("train/a/1.mp4", 0)
    assert isinstance(batch, Batch)
    assert (len(batch.input), batch.target.tolist(), batch.cases) == (3, [0, 0, 0], ("train/a/1.mp4",) * 3)
    assert not torch.equal(batch.input[0], batch.input[1])


def test_the_rate_varies_within_its_range(shared) -> None:
    data = dataset(shared, rate=8, rate_jitter=[0.5, 2])
    spans = [np.ptp(wide(data, "train/a/1.mp4", seed)) for seed in range(60)]
    assert min(spans) in range(11, 15)
    assert max(spans) in range(40, 49)
    assert np.median(spans) == pytest.approx(24, abs=6)


def test_views_are_clips_times_crops(films, shared) -> None:
    case = dataset(shared, rate=6).open_case("train/a/1.mp4")
    assert (case.id, case.target) == ("train/a/1.mp4", 0)
    five = case.views(5, 1, "spread")
    assert five.shape == (5, 3, 4, 32, 32)
    assert [numbers(films, clip)[0] for clip in five] == [0, 10, 20, 30, 41]
    assert numbers(films, five[-1])[-1] == 59
    three = case.views(2, 3, "segments")
    assert three.shape == (6, 3, 4, 32, 32)
    for first, start in ((0, 0), (3, 20)):  # clips are outermost: crops of one clip are neighbours
        assert numbers(films, three[first + 1]) == [start, start + 6, start + 12, start + 18]
        tens, ones = 25 + 20 * (start // 10), 25 + 20 * (start % 10)
        assert float(three[first][0, 0, 16, 2]) * 255 == pytest.approx(tens, abs=4)
        assert float(three[first + 2][0, 0, 16, -2]) * 255 == pytest.approx(ones, abs=4)
        assert not torch.equal(three[first], three[first + 2])
    torch.testing.assert_close(case.input(), case.views(1, 1, "spread")[0])
    again = pickle.loads(pickle.dumps(case))
    assert torch.equal(again.input(), case.input())


def test_segments_see_the_whole_video(films, shared) -> None:
    data = dataset(shared, sampling="segments")
    assert numbers(films, data.open_case("train/a/1.mp4").input()) == [7, 22, 37, 51]
    assert all(a // 15 in (i - 1, i, i + 1) for i, a in enumerate(wide(data, "train/a/1.mp4", 3)))
    whole = dataset(shared, test_sampling="segments", test_frames=20)
    assert whole.open_case("train/a/1.mp4").views(1, 1, "spread").shape == (1, 3, 20, 32, 32)
    assert whole.draw("train/a/1.mp4", 0).input.shape == (1, 3, 4, 32, 32)


def test_thumbnails(films, shared) -> None:
    case = dataset(shared, size=24).open_case("train/a/1.mp4")
    pictures = case.thumbnails(6)
    assert (pictures.shape, pictures.dtype) == ((6, 24, 36, 3), np.uint8)
    assert films.numbers(pictures) == [5, 15, 25, 35, 45, 55]
    assert len(case.thumbnails(1000)) == 60


@pytest.mark.parametrize(("short", "expected"), [("pad", [0, 20, 29, 29]), ("loop", [0, 20, 10, 0])])
def test_videos_that_are_shorter_than_a_clip(films, tmp_path, short, expected) -> None:
    films.write(tmp_path / "a" / "1.mp4", films.numbered(30, (32, 48)))
    data = dataset(tmp_path, rate=20, short=short)
    assert numbers(films, data.open_case("a/1.mp4").input()) == expected
    assert wide(data, "a/1.mp4", 0) == expected
    refusing = dataset(tmp_path, rate=20, short="error")
    for read in (refusing.open_case("a/1.mp4").input, lambda: refusing.draw("a/1.mp4", 0)):
        with pytest.raises(
            VideoReadError, match=r"a/1\.mp4 cannot be read: it lasts 1\.00 s, less than the 2\.03 s"
        ) as caught:
            read()
        assert caught.value.hint == "set dataset.short to pad or loop, or take it out"


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(shared, tmp_path) -> None:
    good = (shared / "train" / "a" / "1.mp4").read_bytes()
    for name, content in (("good", good), ("cut", good[: len(good) // 2]), ("text", b"404: not found")):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{name}.mp4").write_bytes(content)
    data = dataset(tmp_path)
    assert len(data.cases("train")) == 3
    for name, reason in (("cut", "truncated"), ("text", "text file")):
        for read in (data.open_case(f"a/{name}.mp4").input, lambda name=name: data.draw(f"a/{name}.mp4", 0)):
            with pytest.raises(DataError, match=rf"a/{name}\.mp4 cannot be read: .*{reason}") as caught:
                read()
            assert caught.value.hint == "platform data check TASK.yaml lists all such files"
    [elsewhere] = data.open([tmp_path / "a" / "cut.mp4"])
    with pytest.raises(VideoReadError, match="truncated") as caught:
        elsewhere.input()
    assert caught.value.hint == ""
    data = dataset(tmp_path)
    data.fix_splits({"train": ("a/gone.mp4",)})  # as a run has it that began before it went
    for look in (lambda: data.draw("a/gone.mp4", 0), lambda: data.cases("train"), lambda: data.digest(["a/gone.mp4"])):
        with pytest.raises(DataError, match=r"there is no case a/gone\.mp4"):
            look()


@pytest.fixture
def listed(shared: Path, tmp_path: Path) -> Path:
    """A list of 14 clips, of which only the first two are there; one is empty."""
    lines = [f"{shared}/train/a/1.mp4 0", f"{shared}/train/b/x 2.mp4 1", "empty.mp4 0"]
    lines += [f"gone {number}.mp4 1" for number in range(11)]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    (tmp_path / "empty.mp4").write_bytes(b"")
    return tmp_path


def test_missing_files_stop_a_run(listed) -> None:
    with pytest.raises(DataError) as caught:
        dataset(listed).cases("train")
    message = str(caught.value)
    assert message.startswith(
        f"12 of 14 clips of train in {listed} are missing, empty or not files: empty.mp4, gone 0.mp4, "
    )
    assert message.endswith("gone 8.mp4 and 2 more")
    assert "dataset.missing=drop" in caught.value.hint


def test_missing_files_can_be_dropped_and_are_counted(listed, caplog) -> None:
    data = dataset(listed, missing="drop")
    assert [Path(case).name for case in data.cases("train")] == ["1.mp4", "x 2.mp4"]
    assert "left out: 12 of 14 clips of train" in caplog.text
    assert data.target_info.names == ("class 0", "class 1")
    assert not any(case.startswith("/") for case in data.cases("train"))
    (listed / "train.csv").write_text("gone.mp4 0")
    with pytest.raises(DataError, match="1 of 1 clips of train"):
        dataset(listed, missing="drop").cases("train")


def test_a_split_that_is_not_there(shared) -> None:
    with pytest.raises(DataError, match="has no split 'test'; it has train, validation"):
        dataset(shared).cases("test")


def test_preparing_counts_the_files(tmp_path) -> None:
    for number in range(2300):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{number}.mp4").write_bytes(b"no video")
    data, seen = dataset(tmp_path), []
    cases = data.cases("train")
    data.prepare(cases, lambda done, total: seen.append((done, total)))
    assert seen == [(1000, 2300), (2000, 2300), (2300, 2300)]
    (tmp_path / "a" / "7.mp4").unlink()
    with pytest.raises(DataError, match=r"1 clips are missing, empty or not files: a/7\.mp4"):
        data.prepare(cases, nothing)


def test_the_digest_follows_names_sizes_and_labels(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mp4").write_bytes(b"12345")

    def digest(text: str) -> str:
        (tmp_path / "train.csv").write_text(text)
        data = dataset(tmp_path)
        return data.digest(data.cases("train"))

    before = digest("a.mp4 0\nb.mp4 1")
    assert before == digest("a.mp4 0\nb.mp4 1\n")
    assert len(before) == 32
    assert before != digest("a.mp4 1\nb.mp4 1")
    assert before != digest("b.mp4 1")
    (tmp_path / "a.mp4").write_bytes(b"123456")
    assert before != digest("a.mp4 0\nb.mp4 1")


def test_new_videos_need_no_label(films, shared, tmp_path) -> None:
    films.write(tmp_path / "new.mp4", films.numbered(20, (32, 48)))
    [case] = dataset(shared).open([tmp_path / "new.mp4"])
    assert (case.id, case.target) == ("new.mp4", None)
    assert case.input().shape == (3, 4, 32, 32)


def test_layouts_can_be_asked_for(shared, tmp_path) -> None:
    with pytest.raises(DataError, match=r"there is no train\.csv"):
        dataset(shared, folder_layout="lists").cases("train")
    (tmp_path / "mine.txt").write_text(f"{shared}/train/a/1.mp4 1")
    (tmp_path / "names.txt").write_text("still\nmoving\n")
    data = dataset(tmp_path, lists={"test": "mine.txt"}, labels="names.txt")
    assert data.target_info.names == ("still", "moving")
    assert len(data.cases("test")) == 1
