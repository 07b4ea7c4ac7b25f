"""What is wrong with a file that should be a video, as far as its size and first bytes tell. Imports nothing heavy.

Decoders say "invalid data" of all of these, and open an MP4 file that was cut off as if it were a shorter video.
"""

import os
from pathlib import Path
from typing import BinaryIO

_HEAD = 512
_BOXES = 64
_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_PROGRAM_STREAM, _PACKET = b"\0\0\1\xba", 188  # packets of a transport stream begin with G
_MP4 = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
_TEXT = frozenset(range(32, 256)) | {9, 10, 12, 13}  # UTF-8 and other letters are text as well


def find_fault(path: Path) -> str | None:
    """Say what is wrong with a file, or nothing: then a decoder has to try.

    Found are files that are missing, empty, text, web pages, pointers of git-lfs, and MP4 and WebM files that are cut
    off. Takes a few short reads.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _fault_of(file, file.read(_HEAD), size)
    except FileNotFoundError:
        return "it does not exist"
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"


def _fault_of(file: BinaryIO, head: bytes, size: int) -> str | None:
    if not size:
        return "it is empty (0 bytes)"
    if set(head) <= _TEXT:
        return _kind_of_text(head)
    if head.startswith(_PROGRAM_STREAM) or head[::_PACKET][:2] == b"GG":
        return "it is an MPEG stream (.ts, .mpg), in which no time can be found exactly: convert it to MP4"
    if head[4:8] in _MP4:
        return _fault_of_mp4(file, size)
    if head.startswith(_EBML):
        return _fault_of_matroska(head, size)
    return None


def _kind_of_text(head: bytes) -> str:
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of git-lfs, not the video itself: fetch it with git lfs pull"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not a video: its download failed"
    return "it is a text file, not a video"


def _fault_of_mp4(file: BinaryIO, size: int) -> str | None:
    """Go from box to box: media data may not end after the file, and an index, moov, has to be there."""
    position, kinds = 0, set()
    for _ in range(_BOXES):
        if position + 8 > size:
            break
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4]), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16])
        elif length == 0:  # up to the end of the file
            length = size - position
        if length < 8:
            break  # what follows is no box
        kinds.add(kind)
        if kind in {b"mdat", b"moov", b"moof"} and position + length > size:
            return f"it is truncated: it has {size} bytes of at least {position + length}"
        position += length
    else:
        return None
    return None if b"moov" in kinds else "it is truncated: its index (moov) is missing"


def _fault_of_matroska(head: bytes, size: int) -> str | None:
    length, start = _matroska_size(head, 4)
    segment = start + length
    if head[segment : segment + 4] != _SEGMENT:
        return None
    length, start = _matroska_size(head, segment + 4)
    unknown = length == (1 << 7 * (start - segment - 4)) - 1  # written by a recorder that could not go back
    if unknown or start + length <= size:
        return None
    return f"it is truncated: it has {size} bytes of {start + length}"


def _matroska_size(head: bytes, position: int) -> tuple[int, int]:
    """A number of Matroska, whose leading zero bits say how many bytes it has, and where it ends."""
    if position >= len(head) or not head[position]:
        return 0, len(head)
    width = 9 - head[position].bit_length()
    marked = int.from_bytes(head[position : position + width])
    return marked & ((1 << 7 * width) - 1), position + width
