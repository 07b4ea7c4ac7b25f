"""EchoNet-Dynamic's left ventricles: two traced frames of each video, whatever their order."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid_echonet.tracing_table import read_tracings
from medvid_echonet.tracings import area_of, mask_of
from medvid_echonet.ventricle import EchoNetLV
from medvid_echonet.ventricle_config import EchoNetLVOptions

PUBLISHED = Path(__file__).parent / "echonet"
MASKS = dict(np.load(PUBLISHED / "masks.npz"))
FIRST = "0XA1B2C3D4E5F60718"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PUBLISHED, tmp_path / "EchoNet-Dynamic"))


def opened(root: Path, **values: object) -> EchoNetLV:
    return EchoNetLV(EchoNetLVOptions.model_validate({"root": root, "frames": 4, "size": [28, 28], **values}))


def test_masks_are_those_of_the_published_code_on_their_frames(root: Path) -> None:
    data = opened(root)
    for name in {name.split(".")[0] for name in MASKS} & {*data.videos}:
        case = data.open_case(name)
        wanted = {int(key.split(".")[1]): mask for key, mask in MASKS.items() if key.startswith(name)}
        assert [*case.annotated] == sorted(wanted)
        truth = case.native_truth()
        for number, mask in wanted.items():
            np.testing.assert_array_equal(truth[number], mask)
        assert (np.delete(truth, [*wanted], axis=0) == UNKNOWN).all()


def test_the_larger_ventricle_is_that_of_end_diastole(root: Path) -> None:
    for name, video in opened(root).videos.items():
        sizes = {groups: int(MASKS[f"{name}.{number}"].sum()) for number, groups in video.masks.annotated().items()}
        assert {*sizes} == {("ED",), ("ES",)}
        assert sizes["ED",] > sizes["ES",]


def test_the_area_is_about_that_of_the_mask() -> None:
    for frames in read_tracings(PUBLISHED).values():
        for chords in frames.values():
            assert area_of(chords) == pytest.approx(mask_of(chords, (112, 112)).sum(), rel=0.15)


def test_a_tracing_of_a_frame_that_is_not_there_is_refused(root: Path) -> None:
    table = root / "VolumeTracings.csv"
    table.write_text(re.sub(rf"({FIRST}\.avi,.*),\d+$", r"\1,4000", table.read_text(), count=5, flags=re.MULTILINE))
    data = opened(root)
    with pytest.raises(DataError, match=r"label map of frame 4000, counted from 0, but .* frames, 0 to"):
        data.prepare([FIRST], lambda *_: None)


def test_without_tracings_there_is_nothing_to_learn(root: Path) -> None:
    (root / "VolumeTracings.csv").unlink()
    with pytest.raises(DataError, match=r"VolumeTracings\.csv does not exist"):
        opened(root).declared()
