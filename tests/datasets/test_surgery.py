"""Surgeries in the layouts of Cholec80, AutoLaparo and M2CAI16."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvid.data.videos.reencode import Encoding, reencode_video
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.seeding import derive_seed
from medvid_surgery.config import (
    CHOLECYSTECTOMY,
    TOOLS,
    AutoLaparoOptions,
    Cholec80Options,
    M2CAI16Options,
    SurgeriesOptions,
)
from medvid_surgery.data import Surgeries
from medvid_surgery.surgeries import KINDS, generate_autolaparo, generate_cholec80, generate_m2cai16, perform

SMALL = SurgeriesOptions(train=3, validation=1, test=1, size=(16, 24), pace=0.2)


@pytest.fixture(scope="module")
def cholec80(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos; tests only read it."""
    root = tmp_path_factory.mktemp("surgeries") / "cholec80"
    generate_cholec80(root, SMALL)
    return root


@pytest.fixture
def copy(cholec80: Path, tmp_path: Path) -> Path:
    """Of which a test can change files."""
    return Path(shutil.copytree(cholec80, tmp_path / "copy"))


def opened(root: Path, cache: Path, **options: Any) -> Surgeries:
    block = {"root": root, "cache": cache, "frames": 4, "size": 16, "short_side": (16, 16), **options}
    return Surgeries(Cholec80Options.model_validate(block))


def prepare(data: Surgeries, *videos: str) -> None:
    data.prepare(videos or [*data.labelled()], lambda *_: None)


def rows_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize("fps", [1.0, 5.0, None])
def test_phases_and_tools_are_those_of_the_files(cholec80: Path, tmp_path: Path, fps: float | None) -> None:
    phases, tools = (opened(cholec80, tmp_path, what=what, fps=fps) for what in ("phases", "tools"))
    for video in phases.labelled():
        case = phases.open_case(video)
        rows = rows_of(cholec80 / "phase_annotations" / f"{video}-phase.txt")
        wanted = [CHOLECYSTECTOMY.index(rows[round(25 * time)][1]) for time in case.places["time_s"]]
        assert case.target.tolist() == wanted
        case = tools.open_case(video)
        rows = rows_of(cholec80 / "tool_annotations" / f"{video}-tool.txt")
        by_frame = {int(number): [*map(float, seen)] for number, *seen in rows}
        unknown = [float(UNKNOWN)] * len(TOOLS)
        wanted = [by_frame.get(round(25 * time), unknown) for time in case.places["time_s"]]
        assert case.target.tolist() == wanted
        if fps == 1:
            assert unknown not in wanted


def test_the_published_divisions(cholec80: Path, tmp_path: Path) -> None:
    train = ("video01", "video02", "video03")
    assert dict(opened(cholec80, tmp_path).splits) == {"train": train, "validation": ("video33",), "test": ("video41",)}
    whole = opened(cholec80, tmp_path, division="40/40")
    assert dict(whole.splits) == {"train": (*train, "video33"), "test": ("video41",)}
    held_out = opened(cholec80, tmp_path, division="40/40", validation_fraction=0.25).splits
    assert len(held_out["validation"]) == 1
    assert {*held_out["train"], *held_out["validation"]} == {*train, "video33"}
    assert [len(names) for names in Cholec80Options(root=tmp_path).published().values()] == [32, 8, 40]


def test_videos_that_are_missing_are_told(cholec80: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _ = opened(cholec80, tmp_path).index
    assert "75 of 80 videos are not in" in caplog.text


@pytest.mark.parametrize(
    ("generate", "kind", "counts"),
    [(generate_autolaparo, AutoLaparoOptions, [3, 1, 1]), (generate_m2cai16, M2CAI16Options, [3, 1])],
)
def test_other_layouts_say_the_same_of_the_same_surgery(tmp_path: Path, generate, kind, counts) -> None:
    generate(tmp_path / "data", SMALL)
    options = kind(root=tmp_path / "data", frames=4, size=16, short_side=(16, 16), validation_fraction=0)
    data = Surgeries(options)
    assert [len(names) for names in data.splits.values()] == counts
    prepare(data)
    shift = len(options.names) - len(KINDS)
    for video in data.labelled():
        surgery = perform(np.random.default_rng(derive_seed(SMALL.seed, "surgery", video)), SMALL)
        assert data.open_case(video).target.tolist() == (surgery.phases[:: SMALL.fps] + shift).tolist()


def test_videos_at_another_rate_and_in_other_containers_have_the_same_phases(copy: Path, tmp_path: Path) -> None:
    data = opened(copy, tmp_path)
    before = {video: data.open_case(video) for video in data.labelled()}
    path = copy / "videos" / "video02.mp4"
    reencode_video(path, path.with_name("new.mkv"), Encoding(side=16, gop=5, crf=20))
    path.unlink()
    path.with_name("new.mkv").rename(path.with_name("video02.mkv"))
    after = opened(copy, tmp_path)
    prepare(after)
    for video, case in before.items():
        assert after.open_case(video).target.tolist() == case.target.tolist()


def replaced(pattern: str, by: str) -> Any:
    def change(path: Path) -> None:
        path.write_text(re.sub(pattern, by, path.read_text(), flags=re.MULTILINE))

    return change


BAD = {
    "longer": (
        lambda path: path.write_text(path.read_text() + "9000\tPreparation\n"),
        "ends after its video: with frame 9000",
    ),
    "shorter": (
        lambda path: path.write_text("\n".join(path.read_text().splitlines()[:60])),
        "ends before its video: with frame 58",
    ),
    "at 1 fps": (
        lambda path: path.write_text("\n".join(path.read_text().splitlines()[:31])),
        "dataset.annotation_fps: 1",
    ),
    "no header": (replaced(r"\AFrame\tPhase\n", ""), "txt:1: there is no header, the first line is '0.t"),
    "unknown phase": (
        replaced(r"ClippingCutting", "ClipingCutting"),
        "'ClipingCutting' is not one of the classes.*ClippingCutting",
    ),
    "no phase": (replaced(r"\tPhase$", "\tLabels"), "has no column of phases; it has Frame, Labels"),
    "no frame": (replaced(r"^Frame", "Bild"), "has no column 'Frame'; it has Bild, Phase"),
    "not a number": (replaced(r"^30\t", "3O\t"), "txt:32: '3O' is not the number of a frame"),
    "twice": (replaced(r"^30\t.*", "29\tGallbladderPackaging"), "txt:32: Frame 29 is annotated otherwise in line 31"),
    "empty": (lambda path: path.write_text("\n"), "is empty"),
    "UTF-16": (lambda path: path.write_text(path.read_text(), "utf-16"), "is UTF-16"),
    "missing": (Path.unlink, "1 annotations are missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_fault_of_an_annotation_is_a_sentence(copy: Path, tmp_path: Path, name: str) -> None:
    change, said = BAD[name]
    change(copy / "phase_annotations" / "video02-phase.txt")
    with pytest.raises(DataError) as error:
        prepare(opened(copy, tmp_path), "video02")
    text = f"{error.value} hint: {error.value.hint}"
    assert re.search(said, text), text
    assert "video02-phase.txt" in text
    assert error.value.exit_code == 4


def test_byte_order_marks_and_line_ends_make_no_difference(copy: Path, tmp_path: Path) -> None:
    before = opened(copy, tmp_path).open_case("video02").target
    path = copy / "phase_annotations" / "video02-phase.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert opened(copy, tmp_path).open_case("video02").target.tolist() == before.tolist()


def test_two_phases_have_the_same_tools() -> None:
    """Otherwise a single frame could tell the phase."""
    assert KINDS[1].tools == KINDS[3].tools
    assert KINDS[4].tools == KINDS[6].tools
    surgeries = [perform(np.random.default_rng(seed), SurgeriesOptions()) for seed in range(40)]
    for surgery in surgeries:
        assert (np.diff(surgery.phases) >= 0).all()
    lengths = [len(surgery.phases) for surgery in surgeries]
    assert max(lengths) > 1.3 * min(lengths)
    missing = [number for number, kind in enumerate(KINDS) if any(number not in one.phases for one in surgeries)]
    assert missing == [number for number, kind in enumerate(KINDS) if kind.missing]
