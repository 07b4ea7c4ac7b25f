"""A user's own videos that are annotated frame by frame."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid_videos.frames_config import LabelledFramesOptions
from medvid_videos.frames_data import LabelledFrames

NAMES = ("p1_a", "p1_b", "p2_a", "p3.x")
FRAMES = 40
"""Of each video, at 10 per second."""
PHASES = ["cut"] * 15 + ["sew"] * 25
NUMBERED = "Frame\tPhase\n" + "".join(f"{number}\t{phase}\n" for number, phase in enumerate(PHASES))


@pytest.fixture(scope="module")
def film(films: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return films.write(path, films.numbered(FRAMES), fps=10).read_bytes()


@pytest.fixture
def root(tmp_path: Path, film: bytes) -> Path:
    """Four videos, without annotations."""
    folder = tmp_path / "data"
    (folder / "videos").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / "videos" / f"{name}.mp4").write_bytes(film + bytes(number))
    return folder


def annotate(root: Path, text: str, pattern: str = "{}.txt", folder: str = "phases") -> None:
    (root / folder).mkdir(exist_ok=True)
    for name in NAMES:
        (root / folder / pattern.format(name)).write_text(text, encoding="utf-8")


def opened(root: Path, **options: Any) -> LabelledFrames:
    block = {
        "root": root,
        "cache": root / "cache",
        "frames": 4,
        "size": 16,
        "short_side": (16, 16),
        "fps": 10,
        **options,
    }
    return LabelledFrames(LabelledFramesOptions.model_validate(block).filled())


def target_of(root: Path, **options: Any) -> torch.Tensor:
    data = opened(root, **options)
    data.prepare(data.labelled(), lambda *_: None)
    found = data.open_case("p2_a").target
    assert found is not None
    return found


TIMES = "time_s,step\n" + "".join(f"{number / 10:.2f},{phase}\n" for number, phase in enumerate(PHASES))
CLOCK = "Timestamp;Label\n" + "".join(f"00:00:{number / 10:05.2f};{phase}\n" for number, phase in enumerate(PHASES))
FORMS = {
    "frames and phases": (NUMBERED, {}),
    "with a byte order mark": ("\ufeff" + NUMBERED.replace("\n", "\r\n"), {}),
    "separated by blanks": (NUMBERED.replace("\t", "   "), {}),
    "a name in each line": ("\n".join(PHASES) + "\n", {}),
    "times": (TIMES, {}),
    "hours, minutes and seconds": (CLOCK, {}),
    "in another order": ("\n".join([NUMBERED.splitlines()[0], *reversed(NUMBERED.splitlines()[1:])]), {}),
    "counted from 1": (
        re.sub(r"^\d+", lambda found: str(int(found[0]) + 1), NUMBERED, flags=re.MULTILINE),
        {"first_frame": 1},
    ),
    "counted at another rate": (
        re.sub(r"^\d+", lambda found: str(int(found[0]) * 3), NUMBERED, flags=re.MULTILINE),
        {"annotation_fps": 30},
    ),
    "other columns": (
        NUMBERED.replace("Frame\tPhase", "Bild\tWas"),
        {"frame_column": "bild", "class_column": "Was"},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_annotations(root: Path, form: str) -> None:
    text, options = FORMS[form]
    annotate(root, text)
    assert target_of(root, **options).tolist() == [0] * 15 + [1] * 25


def test_folders_of_frames(root: Path) -> None:
    annotate(root, NUMBERED)
    (root / "videos" / "p2_a.mp4").unlink()
    folder = root / "videos" / "p2_a"
    folder.mkdir()
    for number in range(FRAMES):
        Image.new("RGB", (32, 24), (6 * number, 0, 0)).save(folder / f"img_{number + 1:05}.png")
    given = {"frame_files": {"rate": 10}, "mean": (0, 0, 0), "std": (1, 1, 1), "short_side": (16, 16)}
    assert target_of(root, **given).tolist() == [0] * 15 + [1] * 25
    case = opened(root, **given).open_case("p2_a")
    shown = case.frames(0, FRAMES)[0].mean(dim=(1, 2)) * 255
    assert shown.round().tolist() == [6 * number for number in range(FRAMES)]


def test_one_table_for_all_videos(root: Path) -> None:
    rows = [f"videos/{name}.mp4,{number},{phase}" for name in NAMES[:3] for number, phase in enumerate(PHASES)]
    (root / "all.csv").write_text("\n".join(["Video,Frame,Phase", *rows]))
    assert target_of(root, table="all.csv").tolist() == [0] * 15 + [1] * 25
    data = opened(root, table="all.csv")
    assert set(data.labelled()) == set(NAMES[:3])
    assert data.open_case("p3.x").target is None
    (root / "all.csv").write_text("\n".join(["Video,Frame,Phase", *rows, "p9,0,cut"]))
    with pytest.raises(DataError, match="names 1 videos that there are not: p9"):
        opened(root, table="all.csv")


def test_labels_and_values_with_empty_cells(root: Path) -> None:
    rows = [
        f"{number},{number % 2},{'' if number == 3 else 1},{'' if number == 5 else number / 2}"
        for number in range(FRAMES)
    ]
    annotate(root, "\n".join(["frame,grasper,hook,pressure", *rows]), "{}.csv")
    labels = target_of(root, label_columns=("grasper", "Hook"))
    assert labels[:, 0].tolist() == [number % 2 for number in range(FRAMES)]
    assert labels[:, 1].tolist() == [UNKNOWN if number == 3 else 1 for number in range(FRAMES)]
    values = target_of(root, value_columns={"pressure": "mmHg"})
    assert torch.isnan(values[:, 0]).nonzero().tolist() == [[5]]
    info = opened(root, value_columns={"pressure": "mmHg"}).target_info
    known = [number / 2 for number in range(FRAMES) if number != 5]
    assert info.units == ("mmHg",)
    assert (info.means[0], info.deviations[0]) == pytest.approx((np.mean(known), np.std(known)))


def test_frames_without_a_row_or_a_class_are_unknown(root: Path) -> None:
    lines = NUMBERED.splitlines()
    del lines[8:11]
    lines[20] = lines[20].split("\t")[0] + "\t"
    annotate(root, "\n".join(lines))
    target = target_of(root)
    assert (target == UNKNOWN).nonzero().flatten().tolist() == [7, 8, 9, int(lines[20])]


def test_the_order_of_classes(root: Path) -> None:
    annotate(root, NUMBERED.replace("cut", "10").replace("sew", "9"))
    assert opened(root).target_info.names == ("9", "10")
    unfilled = LabelledFramesOptions.model_validate({"root": root, "frames": 4})
    assert "name the classes 9, 10" in LabelledFrames(unfilled).options.index().notes[0]
    (root / "mapping.txt").write_text("0 sew\n1 cut\n2 rest\n")
    annotate(root, NUMBERED)
    assert opened(root).target_info.names == ("sew", "cut", "rest")
    assert target_of(root).tolist() == [1] * 15 + [0] * 25
    annotate(root, NUMBERED.replace("cut", "1").replace("sew", "0"))  # ids of mapping.txt
    assert target_of(root).tolist() == [1] * 15 + [0] * 25
    annotate(root, NUMBERED)
    assert target_of(root, classes=("cut", "sew")).tolist() == [0] * 15 + [1] * 25
    (root / "mapping.txt").write_text("0 sew\n2 cut\n")
    with pytest.raises(DataError, match=r"mapping\.txt does not have a line `number name`"):
        opened(root)


def test_who_is_held_out(root: Path) -> None:
    annotate(root, NUMBERED)
    data = opened(root, patient_pattern="^p[0-9]", validation_fraction=0.34)
    sides = {split: {name[:2] for name in names} for split, names in data.splits.items()}
    assert not sides["train"] & sides["validation"]
    assert sides["train"] | sides["validation"] == {"p1", "p2", "p3"}
    (root / "train.bundle").write_text("p1_a.txt\np3.x.mp4\n")
    (root / "test.bundle").write_text("p2_a\n")
    lists = {"train": "train.bundle", "test": "test.bundle"}
    assert dict(opened(root, lists=lists, validation_fraction=0).splits) == {
        "train": ("p1_a", "p3.x"),
        "test": ("p2_a",),
    }
    (root / "test.bundle").write_text("p2_z\n")
    with pytest.raises(DataError, match="names 1 videos that there are not: p2_z"):
        _ = opened(root, lists=lists).index


BAD = {
    "no annotation": (lambda _: None, {}, "none of the 4 videos in .* has an annotation"),
    "several": (lambda root: annotate(root, NUMBERED, folder="other"), {}, "4 videos in .* have several annotations"),
    "no header": (lambda root: annotate(root, NUMBERED[len("Frame\tPhase\n") :]), {}, "txt:1: there is no header"),
    "no frames": (
        lambda root: annotate(root, NUMBERED.replace("Frame", "Nr")),
        {},
        "no column of frames or times by a usual name; it has Nr, Phase",
    ),
    "no classes": (
        lambda root: annotate(root, NUMBERED.replace("Phase", "X")),
        {},
        "no column of classes by a usual name",
    ),
    "a class too many": (
        lambda root: annotate(root, NUMBERED),
        {"classes": ("cut",)},
        "txt:17: column Phase: 'sew' is not one of the classes",
    ),
    "bad time": (lambda root: annotate(root, TIMES.replace("0.30,", "0:0:x,")), {}, "'0:0:x' is not a time"),
    "two spellings": (
        lambda root: annotate(root, NUMBERED.replace("17\tsew", "17\tSew")),
        {},
        "txt has the class '[sS]ew', and .*: spellings of one name",
    ),
    "no table": (lambda _: None, {"table": "all.csv"}, "all.csv cannot be read: No such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_a_sentence(root: Path, name: str) -> None:
    spoil, options, said = BAD[name]
    if name == "several":
        annotate(root, NUMBERED)
    spoil(root)
    with pytest.raises(DataError) as error:
        target_of(root, **options)
    assert re.search(said, str(error.value)), error.value
