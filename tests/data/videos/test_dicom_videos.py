"""DICOM files of several frames as videos: colours, gray values, times, and what is wrong with them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, UltrasoundMultiFrameImageStorage, generate_uid
from tests.parity.recorded import FIXTURES, published, sidecar

from medvid.data.videos.decoders import open_video
from medvid.data.videos.dicom import DicomVideo
from medvid.data.videos.frame_files import FrameFileOptions
from medvid.data.videos.index import find_videos
from medvid.data.videos.reader import VideoReadError
from medvid.errors import ConfigError

SCANS = ("us_rgb", "us_rgb_planar", "us_ybr_full", "us_jpeg_ybr422", "us_monochrome", "us_rle")


def write(path: Path, frames: np.ndarray, **tags: Any) -> Path:
    """A loop of ultrasound; `tags` replace the usual ones, None removes one."""
    loop = Dataset()
    loop.file_meta = FileMetaDataset()
    loop.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = 8 * frames.dtype.itemsize
    usual = {
        "SOPClassUID": UltrasoundMultiFrameImageStorage, "SOPInstanceUID": generate_uid(), "Modality": "US",
        "NumberOfFrames": len(frames), "Rows": frames.shape[1], "Columns": frames.shape[2],
        "SamplesPerPixel": 3 if frames.ndim == 4 else 1, "PlanarConfiguration": 0 if frames.ndim == 4 else None,
        "PhotometricInterpretation": "RGB" if frames.ndim == 4 else "MONOCHROME2", "BitsAllocated": bits,
        "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": 0, "FrameTime": "40",
    }  # fmt: skip
    for keyword, value in (usual | tags).items():
        if value is not None:
            setattr(loop, keyword, value)
    loop.PixelData = frames.tobytes()
    loop.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, **options: Any) -> tuple[np.ndarray, DicomVideo]:
    """All frames, one by one as they are shown."""
    with open_video(path, frame_files=FrameFileOptions(**options)) as video:
        assert isinstance(video, DicomVideo)
        return np.stack(list(video.in_order(video.times.due.tolist()))), video


@pytest.mark.parametrize("name", SCANS)
def test_loops_of_ultrasound_are_rgb_as_recorded(name: str) -> None:
    expected = published("formats", f"{name}.")["frames"].numpy().astype(int)
    if expected.ndim == 3:
        expected = np.repeat(expected[..., None], 3, axis=3)
    path = FIXTURES / sidecar("formats")["cases"][name]["path"]
    frames, video = read(path)
    assert frames.dtype == np.uint8
    assert np.abs(frames - expected).max() <= {"us_jpeg_ybr422": 3, "us_ybr_full": 2}.get(name, 0)
    assert video.length.fps == pytest.approx(1000 / 33.333)
    assert video.times.due[7] == pytest.approx(7 * 0.033333, abs=1e-6)
    with open_video(path) as video:
        np.testing.assert_array_equal(video.frames_at([0.1, 0.05, 9]), frames[[3, 1, 7]])
        video.check_all()


def test_only_frames_that_are_asked_for_are_decoded(films: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", films.numbered(20))
    loop = pydicom.dcmread(path)
    loop.compress(RLELossless)
    loop.save_as(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)
    with open_video(path) as video:
        assert films.numbers(video.frames_at([0, 0.04, 0.76])) == [0, 1, 19]
        with pytest.raises(VideoReadError, match="its pixels cannot be decoded"):
            video.check_all()


@pytest.mark.parametrize(
    ("tags", "due", "note"),
    [
        ({"FrameTime": "40", "CineRate": "25"}, [0, 0.04, 0.08], ""),
        ({"FrameTime": "0", "CineRate": "20"}, [0, 0.05, 0.1], ""),
        ({"FrameTime": None, "RecommendedDisplayFrameRate": "10"}, [0, 0.1, 0.2], ""),
        ({"FrameTime": "40", "CineRate": "60"}, [0, 0.04, 0.08], "recorded at 25 frames per second, which counts"),
        ({"FrameTimeVector": ["0", "30", "70"]}, [0, 0.03, 0.1], ""),
        ({"FrameTimeVector": ["30", "70"]}, [0, 0.04, 0.08], "FrameTimeVector of 2 times for its 3 frames"),
        ({"FrameTimeVector": ["0", "0", "0"]}, [0, 0.04, 0.08], "or of zeros"),
        ({"FrameTime": "", "FrameTimeVector": ["5", "30", "70"]}, [0, 0.03, 0.1], ""),
    ],
)
def test_frames_are_due_as_the_header_says(films: Any, tmp_path: Path, tags: Any, due: list[float], note: str) -> None:
    frames, video = read(write(tmp_path / "a.dcm", films.numbered(3), **tags), rate=7)
    assert films.numbers(frames) == [0, 1, 2]
    np.testing.assert_allclose(video.times.due, due, atol=1e-6)
    assert note in " ".join(video.notes)
    assert bool(video.notes) == bool(note)


@pytest.mark.parametrize("tags", [{"FrameTime": None}, {"FrameTime": "0", "CineRate": "0"}])
def test_a_rate_that_is_missing_is_asked_for_by_name(films: Any, tmp_path: Path, tags: Any) -> None:
    path = write(tmp_path / "a.dcm", films.numbered(3), **tags)
    with pytest.raises(ConfigError, match=r"neither FrameTime.*dataset\.frame_files\.rate is not set"):
        read(path)
    _, video = read(path, rate=10)
    assert video.length.fps == pytest.approx(10)
    assert "dataset.frame_files.rate, 10, is used" in video.notes[0]


def test_gray_values_are_shown_as_the_header_says(tmp_path: Path) -> None:
    values = np.array([[[0, 100], [1000, 4095]]] * 2, np.uint16)
    ten = {"BitsStored": 12, "HighBit": 11}
    plain, video = read(write(tmp_path / "a.dcm", values, **ten))
    assert plain[0, :, :, 0].tolist() == [[0, 6], [62, 255]]
    assert "12 bits and no window: 0 is black and 4095 is white" in video.notes[0]
    inverted, _ = read(write(tmp_path / "b.dcm", values, **ten, PhotometricInterpretation="MONOCHROME1"))
    assert inverted[0, :, :, 2].tolist() == [[255, 249], [193, 0]]
    window = {"WindowCenter": ["550", "1"], "WindowWidth": ["901", "2"], "RescaleSlope": "1", "RescaleIntercept": "0"}
    shown, video = read(write(tmp_path / "c.dcm", values, **ten, **window))
    assert shown[0, :, :, 0].tolist() == [[0, 0], [255, 255]]  # from 99.5 to 999.5
    assert not video.notes
    signed = (values.astype(np.int32) - 2048).astype(np.int16)
    low, _ = read(write(tmp_path / "d.dcm", signed, **ten, PixelRepresentation=1))
    np.testing.assert_array_equal(low, plain)


def test_colours_of_palettes(tmp_path: Path) -> None:
    data = pydicom.dcmread(get_testdata_file("examples_palette.dcm"))
    data.FrameTime = "50"
    data.NumberOfFrames = 2
    data.PixelData = data.PixelData * 2
    data.save_as(tmp_path / "a.dcm")
    frames, _ = read(tmp_path / "a.dcm")
    expected = pydicom.pixels.apply_color_lut(data.pixel_array[0], data)[..., :3]
    np.testing.assert_array_equal(frames[1], expected if expected.dtype == np.uint8 else expected >> 8)


def test_what_is_no_film_is_refused_by_name(films: Any, tmp_path: Path) -> None:
    frames = films.numbered(4)
    good = write(tmp_path / "a.dcm", frames)
    cut, text, no_pixels = tmp_path / "cut.dcm", tmp_path / "text.dcm", tmp_path / "report.dcm"
    cut.write_bytes(good.read_bytes()[:-5000])
    text.write_text("not DICOM")
    write(no_pixels, frames, Rows=None)
    for path, reason in (
        (write(tmp_path / "one.dcm", frames[:1]), "single frame, so it is a picture"),
        (no_pixels, "it has no pixels: it is Ultrasound Multi-frame Image Storage"),
        (text, "it is a text file, not a video"),
        (write(tmp_path / "back.dcm", frames, FrameTimeVector=["0", "5", "-5", "1"]), "times that are negative"),
        (cut, "its pixels cannot be decoded"),
    ):
        with pytest.raises(VideoReadError, match=reason), open_video(path) as video:
            video.check_all()


def test_without_pydicom_it_is_said_what_to_install(films: Any, tmp_path: Path, monkeypatch: Any) -> None:
    path = write(tmp_path / "a.dcm", films.numbered(2))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ConfigError, match="is DICOM, which cannot be read without pydicom") as caught:
        read(path)
    assert caught.value.hint == 'pip install "medvid[dicom]"'


def test_files_without_a_suffix_are_known_by_their_content(films: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "IM_0001", films.numbered(4))
    assert list(find_videos([path])) == ["IM_0001"]
    frames, _ = read(path)
    assert films.numbers(frames) == [0, 1, 2, 3]
