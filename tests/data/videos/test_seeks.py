"""Whatever is asked for after a seek is what FFmpeg gives when it decodes a file in one go, for files of many encoders.

Every frame shows its number, as black and white blocks; what the command ffmpeg decodes is the truth.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import decord
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medvid.data.videos.check import check_video
from medvid.data.videos.decoders import open_video
from medvid.data.videos.reader import VideoReadError, forget
from medvid.data.videos.reencode import Encoding, reencode_video

FFMPEG = shutil.which("ffmpeg")
pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed")

RAW = ("-f", "rawvideo", "-pix_fmt", "rgb24")
COUNT, HEIGHT, WIDTH = 44, 64, 96
X264 = "-c:v libx264 -g 12 -bf 3"
X265 = "-c:v libx265 -x265-params log-level=none:pools=1:keyint=15:min-keyint=15:scenecut=0"
MPEG2 = "-c:v mpeg2video -bf 2 -g 12 -q:v 2"
MPEG4 = "-c:v mpeg4 -bf 2 -g 12 -q:v 2"
UNEVEN = "-vf settb=1/1000,setpts=40*N+9*mod(7*N\\,5) -vsync passthrough -enc_time_base 1:1000"
ENCODED = {
    "default.mp4": "-c:v libx264",
    "baseline.mp4": "-c:v libx264 -g 12 -bf 0",
    "tiny gop.mp4": "-c:v libx264 -g 3 -bf 2",
    "fragmented.mp4": f"{X264} -movflags frag_keyframe+empty_moov+default_base_moof",
    "open gop.mkv": "-c:v libx264 -x264-params open-gop=1:keyint=15:bframes=3:scenecut=0",
    "refresh.mp4": "-c:v libx264 -x264-params intra-refresh=1:keyint=15",
    "uneven.mp4": f"{X264} {UNEVEN}",
    "uneven.mkv": f"{X265} {UNEVEN}",
    "h264.avi": X264,
    "h264.mts": X264,
    "h264.flv": X264,
    "x265.mp4": X265,
    "x265.mkv": X265,
    "x265.ts": X265,
    "mpeg2.mkv": MPEG2,
    "mpeg2.mpg": MPEG2,
    "mpeg2.m2ts": MPEG2,
    "mpeg4.mp4": MPEG4,
    "mpeg4.avi": MPEG4,
    "xvid.divx": "-c:v libxvid -bf 2 -g 20 -q:v 2 -f avi",
    "wmv2.wmv": "-c:v wmv2 -q:v 2 -g 12",
    "msmpeg4.avi": "-c:v msmpeg4 -q:v 2 -g 12",
    "vp8.webm": "-c:v libvpx -b:v 1M -g 30 -auto-alt-ref 1 -lag-in-frames 16",
    "vp9.webm": "-c:v libvpx-vp9 -b:v 1M -g 20 -auto-alt-ref 1 -lag-in-frames 16 -deadline realtime -cpu-used 8",
    "no length.webm": "-c:v libvpx-vp9 -b:v 1M -g 20 -deadline realtime -cpu-used 8 -live 1",
    "av1.mp4": "-c:v libsvtav1 -g 20 -crf 30 -preset 12",
    "theora.ogv": "-c:v libtheora -q:v 8 -g 16",
    "intra.mov": "-c:v mjpeg -q:v 2",
    "animated.gif": "-c:v gif -pix_fmt rgb8",
}
COPIED = {
    "cut default.mp4": ("default.mp4", "-ss 0.9", ""),
    "cut x265.mp4": ("x265.mp4", "-ss 0.9 -t 0.7", ""),
    "cut x265.mkv": ("x265.mkv", "-ss 0.9", ""),
    "cut mpeg4.mp4": ("mpeg4.mp4", "-ss 0.7", ""),
    "cut.ts": ("h264.mts", "-ss 0.7", ""),
    "remuxed.mkv": ("x265.mp4", "", ""),
    "remuxed.mp4": ("mpeg4.avi", "", ""),  # with wrong times
    "late.mp4": ("default.mp4", "-itsoffset 2.5", ""),
    "turned.mp4": ("baseline.mp4", "", "-metadata:s:v rotate=90"),
}

EDITED = {
    "two parts.mp4": ("default.mp4", [(600, 1024), (700, 13824)]),
    "parts out of order.mp4": ("default.mp4", [(720, 13824), (600, 1024)]),
    "a part twice.mp4": ("x265.mp4", [(600, 1024), (600, 1024)]),
    "later.mp4": ("x265.mp4", [(500, -1), (900, 8024)]),
}
"""Edit lists: for each part its length in milliseconds, and where it begins; 25 frames are 12800."""

FILES = (*ENCODED, *COPIED, *EDITED)
BY_DECORD = {
    "default.mp4": True,
    "uneven.mp4": True,
    "wmv2.wmv": False,
    "h264.flv": False,
    "vp9.webm": True,
    "x265.mkv": False,
    "open gop.mkv": False,
    "mpeg2.mkv": False,
    "refresh.mp4": False,
    "cut default.mp4": False,
    "turned.mp4": False,
    "two parts.mp4": False,
}
"""Files by whether decord decodes them, where it is asked for."""
READ = [(name, "av") for name in FILES] + [(name, "decord") for name in BY_DECORD]


@dataclass(frozen=True)
class Film:
    """A file, and what ffmpeg decodes of it: times in seconds from the first frame's on, and frames (N, H, W, 3)."""

    path: Path
    times: np.ndarray
    frames: np.ndarray


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [str(FFMPEG), "-hide_banner", "-y", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def numbered() -> np.ndarray:
    frames = np.full((COUNT, HEIGHT, WIDTH, 3), 16, np.uint8)
    for number, frame in enumerate(frames):
        for bit in range(8):
            top, left = 32 * (bit // 4), 24 * (bit % 4)
            frame[top : top + 32, left : left + 24] = 235 if number >> bit & 1 else 16
    return frames


def numbers(frames: np.ndarray) -> list[int]:
    centres = frames[:, 16::32, 12::24].mean(axis=-1).reshape(len(frames), 8) > 125
    return (centres * 2 ** np.arange(8)).sum(axis=1).tolist()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory):
    """A file by its name, made once."""
    folder = tmp_path_factory.mktemp("films")

    @cache
    def make(name: str) -> Film:
        path = folder / name
        if name in ENCODED:
            given = [*RAW, "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-", "-pix_fmt", "yuv420p"]
            done = run(*given, *ENCODED[name].split(), "-threads", "1", path, stdin=numbered().tobytes())
        elif name in EDITED:
            source, parts = EDITED[name]
            path.write_bytes(with_edits(make(source).path.read_bytes(), parts))
            return Film(path, *decoded(path))
        else:
            source, before, after = COPIED[name]
            done = run(*before.split(), "-i", make(source).path, "-c", "copy", *after.split(), path)
        if b"Unknown encoder" in done.stderr:
            pytest.skip(f"ffmpeg has no encoder for {name}")
        assert done.returncode == 0, done.stderr[-500:]
        return Film(path, *decoded(path))

    return make


def decoded(path: Path) -> tuple[np.ndarray, np.ndarray]:
    done = run("-i", path, "-vf", "showinfo", "-vsync", "passthrough", *RAW, "-")
    told = done.stderr.decode(errors="replace")
    width, height = map(int, re.findall(r" s:(\d+)x(\d+) ", told)[0])
    times = np.array([float(time) for time in re.findall(r"pts_time:(-?[\d.]+)", told)])
    if path.suffix == ".divx" or not (len(times) and (np.diff(times) > 0).all()):
        times = np.arange(len(re.findall(r" n: *\d+ ", told))) / 25  # it has none, ffmpeg guesses
    return times - times[0], np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize(("name", "reader"), READ)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_seek_gives_the_frame_that_decoding_in_one_go_gives(film, name, reader, data) -> None:
    given = film(name)
    places = st.integers(0, len(given.times) - 1)
    asked = data.draw(st.lists(places, min_size=1, max_size=5))
    share = data.draw(st.floats(0, 0.8))
    if data.draw(st.booleans()):
        forget()
    steps = np.diff(given.times, append=given.times[-1] + 0.04)
    with open_video(given.path, decoder=reader) as video:
        found = video.frames_at((given.times + share * steps)[asked].tolist())
        assert video.length.duration == pytest.approx(given.times[-1] + 0.04, abs=0.05)
    assert found.shape == (len(asked), *given.frames.shape[1:])
    difference = np.abs(found.astype(int) - given.frames[asked]).mean(axis=(1, 2, 3))
    assert difference.max() < 5, (name, asked, numbers(found), numbers(given.frames[asked]))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("step", [1, 3])
def test_going_forward_gives_the_frames_that_decoding_in_one_go_gives(film, name, step) -> None:
    given = film(name)
    forget()
    with open_video(given.path) as video:
        found = np.stack([*video.in_order(given.times[::step].tolist())])
    difference = np.abs(found.astype(int) - given.frames[::step]).mean(axis=(1, 2, 3))
    assert difference.max() < 5, (name, numbers(found), numbers(given.frames[::step]))


@pytest.mark.parametrize("name", BY_DECORD)
def test_decord_decodes_what_it_reads_right(film, name) -> None:
    """Of some sizes decord hands out four channels on some machines: then it is left aside."""
    path = film(name).path
    is_rgb = BY_DECORD[name] and decord.VideoReader(str(path), num_threads=1)[0].shape[-1] == 3
    with open_video(path, decoder="decord") as video:
        assert video.frames_at([0.7]).shape[-1] == 3
        assert (video.times.decord is True) is is_rgb


@pytest.mark.parametrize("name", ["h264.avi", "xvid.divx", "no length.webm", "cut x265.mkv", "uneven.mp4", "mpeg2.mpg"])
def test_preparing_keeps_every_frame_and_its_time(film, tmp_path, name) -> None:
    given, target = film(name), tmp_path / "a.mp4"
    counted = reencode_video(given.path, target, Encoding(side=HEIGHT, gop=6, crf=12))
    assert counted == (name in {"h264.avi", "xvid.divx"})
    times, frames = decoded(target)
    assert numbers(frames) == numbers(given.frames)
    np.testing.assert_allclose(times, given.times, atol=0.002)


@pytest.mark.parametrize("deep", [False, True])
def test_checking_says_how_a_file_is_read(film, deep) -> None:
    for name, told in {"x265.mkv": "", "refresh.mp4": "from its beginning", "h264.avi": "frames are counted"}.items():
        forget()
        notes = check_video(open_video(film(name).path), deep=deep)
        assert len(notes) == bool(told)
        assert told in "".join(notes)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "name",
    ["mpeg4.avi", "h264.flv", "wmv2.wmv", "theora.ogv", "animated.gif", "h264.mts", "mpeg2.mpg", "no length.webm"],
)
def test_half_downloaded_files_are_refused(film, tmp_path, name, share) -> None:
    content = film(name).path.read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(share * len(content)) | 1])
    with pytest.raises(VideoReadError, match="it is truncated"):
        check_video(open_video(path), deep=False)


def test_a_hole_in_a_file_is_told(film, tmp_path) -> None:
    """As a download that was not finished leaves it: FFmpeg goes on behind it, and all that it decodes is in order."""
    content = bytearray(film("vp8.webm").path.read_bytes())
    middle, length = len(content) // 2, len(content) // 5
    content[middle : middle + length] = bytes(length)
    path = tmp_path / "a.webm"
    path.write_bytes(content)
    assert "makes FFmpeg report errors" in check_video(open_video(path), deep=True)[-1]
    assert check_video(open_video(film("x265.mp4").path), deep=True) == []


def test_files_written_to_a_pipe_are_whole(film, tmp_path) -> None:
    source = film("baseline.mp4").path
    for form in ("avi -c:v mpeg4", "flv -c:v flv", "asf -c:v wmv2", "matroska -c:v copy", "mpegts -c:v copy"):
        path = tmp_path / form.split()[0]
        path.write_bytes(run("-i", source, "-f", *form.split(), "-").stdout)
        assert check_video(open_video(path), deep=True) == []
        cut = tmp_path / f"cut {path.name}"
        cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2 | 1])
        with pytest.raises(VideoReadError, match="it is truncated"):
            check_video(open_video(cut), deep=False)


MIRRORS = {
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "turned by 180": (-1, 0, 0, -1),
    "turned by 90": (0, 1, -1, 0),
    "turned by 270": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}


@pytest.mark.parametrize("name", MIRRORS)
def test_pictures_are_turned_and_mirrored_as_ffmpeg_does(film, tmp_path, name) -> None:
    given, path = film("baseline.mp4"), tmp_path / "a.mp4"
    path.write_bytes(with_matrix(given.path.read_bytes(), MIRRORS[name]))
    _, frames = decoded(path)
    for reader in ("av", "decord"):
        with open_video(path, decoder=reader) as video:
            found = video.frames_at([0.3, 1.0])
        assert found.shape[1:] == frames.shape[1:]
        assert np.abs(found.astype(int) - frames[[7, 25]]).mean() < 5
    reencode_video(path, tmp_path / "b.mp4", Encoding(side=HEIGHT, gop=6, crf=12))
    _, again = decoded(tmp_path / "b.mp4")
    assert np.abs(again.astype(int) - frames).mean() < 8


def test_other_angles_are_refused(film, tmp_path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(with_matrix(film("baseline.mp4").path.read_bytes(), (0.7, 0.7, -0.7, 0.7)))
    with pytest.raises(VideoReadError, match="not a multiple of 90"), open_video(path) as video:
        video.frames_at([0.0])


def with_edits(content: bytes, parts: list[tuple[int, int]]) -> bytes:
    """An MP4 file, its index at its end, with another edit list in its one track."""
    place = content.index(b"elst") - 4
    entries = b"".join(length.to_bytes(4) + begin.to_bytes(4, signed=True) + b"\0\1\0\0" for length, begin in parts)
    box = b"elst" + bytes(4) + len(parts).to_bytes(4) + entries
    size = int.from_bytes(content[place : place + 4])
    changed = bytearray(content[:place] + (len(box) + 4).to_bytes(4) + box + content[place + size :])
    for parent in (b"edts", b"trak", b"moov"):
        start = changed.rindex(parent, 0, place + 8) - 4
        grown = int.from_bytes(changed[start : start + 4]) + len(box) + 4 - size
        changed[start : start + 4] = grown.to_bytes(4)
    return bytes(changed)


def with_matrix(content: bytes, turn: tuple[float, float, float, float]) -> bytes:
    """An MP4 file with a display matrix."""
    a, b, c, d = (round(value * 65536) for value in turn)
    values = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    place = content.index(b"tkhd") + 44
    return content[:place] + b"".join(value.to_bytes(4, signed=True) for value in values) + content[place + 36 :]


@pytest.mark.parametrize(("aspect", "size"), [("2/1", (64, 192)), ("10/11", (70, 96)), ("100/99", (64, 96))])
def test_pixels_become_square(film, tmp_path, aspect, size) -> None:
    given, path = film("baseline.mp4"), tmp_path / "a.mp4"
    done = run("-i", given.path, "-c", "copy", "-bsf:v", f"h264_metadata=sample_aspect_ratio={aspect}", path)
    assert done.returncode == 0, done.stderr[-300:]
    with open_video(path) as video:
        found = video.frames_at([0.3])
    assert found.shape == (1, *size, 3)
    small = found[:, np.linspace(0, size[0] - 1, HEIGHT).round().astype(int)]
    assert numbers(small[:, :, np.linspace(0, size[1] - 1, WIDTH).round().astype(int)]) == [7]
    reencode_video(path, tmp_path / "b.mp4", Encoding(side=64, gop=6, crf=12))
    with open_video(tmp_path / "b.mp4") as video:
        height, width = video.frames_at([0.3]).shape[1:3]
    assert width / height == pytest.approx(size[1] / size[0], rel=0.03)
