"""What is wrong with a file that should be a video, judging by its size and first bytes.

Decoders say "invalid data" for all of these, and open a truncated MP4 file as if it were a shorter video.
"""

import os
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_HEAD = 4096
_TAIL = 1 << 17  # two pages of Ogg
_BOXES = 64
_EBML, _SEGMENT, _CLUSTER = b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x1fC\xb6u"
_MP4 = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_INDEX = bytes.fromhex("90080033b1e5cf1189f400a0c90349cb")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_PACK, _SIGN, _END = b"\0\0\1\xba", b"\0\0\1", b"\1\xb9"  # of program streams, .mpg and .vob
_TRANSPORT = ((0, 188), (4, 192))  # offset of the sync byte and length of the packets of .ts and .m2ts
_NOT_NOTED = {0, (1 << 32) - 1}  # the length in an AVI file that was written to a pipe
_TEXTUAL = 512
_TEXT = frozenset(range(32, 256)) | {9, 10, 12, 13}  # UTF-8 and other letters are text as well


def find_fault(path: Path) -> str | None:
    """Return what is wrong with a file; None if a decoder has to try.

    Detects paths that are missing, empty, not files (pipes, folders), text, web pages, git-lfs pointers, and truncated
    files, if their containers have a length or an end: MP4, WebM and Matroska, AVI, FLV, WMV, Ogg, MPEG streams and
    GIF. Takes a few short reads.
    """
    try:
        if kind := _kind_of_other(path.stat().st_mode):
            return f"it is {kind}, not a file"
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _fault_of(file, file.read(_HEAD), size)
    except FileNotFoundError:
        return "it does not exist"
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"


def _kind_of_other(mode: int) -> str:
    """The kind of a path that is not a regular file; opening a pipe would block forever."""
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _fault_of(file: BinaryIO, head: bytes, size: int) -> str | None:
    if not size:
        return "it is empty (0 bytes)"
    if set(head[:_TEXTUAL]) <= _TEXT:
        return _kind_of_text(head)
    if head[4:8] in _MP4:
        return _fault_of_mp4(file, size)
    for sign, fault in _CONTAINERS.items():
        if head.startswith(sign):
            return fault(file, head, size)
    return _fault_of_transport(head, size)


def _kind_of_text(head: bytes) -> str:
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of git-lfs, not the video itself: fetch it with git lfs pull"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not a video: its download failed"
    return "it is a text file, not a video"


def _fault_of_mp4(file: BinaryIO, size: int) -> str | None:
    """Go from box to box: media data must not end after the file, and an index, moov, has to exist."""
    position, kinds = 0, set()
    for _ in range(_BOXES):
        if position + 8 > size:
            break
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4]), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16])
        elif length == 0:  # until the end of the file
            length = size - position
        if length < 8:
            break  # what follows is not a box
        kinds.add(kind)
        if kind in {b"mdat", b"moov", b"moof"} and position + length > size:
            return _truncated(size, position + length)
        position += length
    else:
        return None
    return None if b"moov" in kinds else "it is truncated: its index (moov) is missing"


def _fault_of_riff(file: BinaryIO, _head: bytes, size: int) -> str | None:
    """AVI: large files are several such chunks, one after the other."""
    position = 0
    for _ in range(_BOXES):
        file.seek(position)
        header = file.read(8)
        if header[:4] != b"RIFF":
            return None
        length = int.from_bytes(header[4:], "little")
        if length in _NOT_NOTED:
            return None
        position += 8 + length
        if position > size:
            return _truncated(size, position)
        position += position % 2
    return None


def _fault_of_program(file: BinaryIO, _head: bytes, size: int) -> str | None:
    """Program streams: the last packet after the last header of a pack has a length."""
    start = max(0, size - _TAIL)
    file.seek(start)
    tail = file.read()
    pack = tail.rfind(_PACK)
    header = tail[pack : pack + 14].ljust(14, b"\0")
    position = pack + (12 if header[4] >> 4 == 2 else 14 + header[13] % 8)  # MPEG-1 or MPEG-2
    while tail[position : position + 3] == _SIGN and position + 6 <= len(tail):
        position += 6 + int.from_bytes(tail[position + 4 : position + 6])
    whole = position <= len(tail) and tail[position:].strip(b"\0") in {b"", _END}
    return None if whole else "it is truncated: its last packet is not complete"


def _fault_of_transport(head: bytes, size: int) -> str | None:
    for place, length in _TRANSPORT:
        if head[place::length][:4] == b"GGGG" and size % length:
            return f"it is truncated: its last packet has {size % length} of {length} bytes"
    return None


def _fault_of_flv(file: BinaryIO, head: bytes, size: int) -> str | None:
    """FLV: the data before its first frame can give its size, and its end gives the length of the last tag."""
    place = head.find(b"filesize\0")
    if 0 <= place < len(head) - 17 and size < (declared := struct.unpack(">d", head[place + 9 : place + 17])[0]):
        return _truncated(size, int(declared))
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4))
    file.seek(max(0, size - 4 - length))
    tag = file.read(4)
    if length < 11 or int.from_bytes(tag[1:]) != length - 11:
        return "it is truncated: its last tag is not complete"
    return None


def _fault_of_asf(file: BinaryIO, head: bytes, size: int) -> str | None:
    """WMV: its properties give its size or, if it was recorded from a broadcast, the size of its packets."""
    place = head.find(_ASF_PROPERTIES)
    if not 0 <= place <= len(head) - 100:
        return None
    if not head[place + 88] & 1:
        declared = int.from_bytes(head[place + 40 : place + 48], "little")
        return _truncated(size, declared) if size < declared else None
    file.seek(max(0, size - _TAIL))
    if _ASF_INDEX in file.read():
        return None
    packets = size - int.from_bytes(head[16:24], "little") - 50  # after the file's header and the data's header
    length = int.from_bytes(head[place + 92 : place + 96], "little")
    return "it is truncated: its last packet is not complete" if length and packets % length else None


def _fault_of_tail(file: BinaryIO, head: bytes, size: int) -> str | None:
    """Ogg and GIF: both mark their end."""
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    if head.startswith(b"GIF8"):
        ended = tail.rstrip(b"\0").endswith(b";")
    else:
        ended = any(tail[page + 5 : page + 6] > b"\3" for page in _pages(tail))
    return None if ended else "it is truncated: its end is missing"


def _pages(tail: bytes) -> Iterator[int]:
    place = tail.find(b"OggS\0")
    while place >= 0:
        yield place
        place = tail.find(b"OggS\0", place + 1)


def _truncated(size: int, least: int) -> str:
    return f"it is truncated: it has {size} of {least} bytes"


def _fault_of_matroska(file: BinaryIO, head: bytes, size: int) -> str | None:
    length, start = _matroska_size(head, 4)
    segment = start + length
    if head[segment : segment + 4] != _SEGMENT:
        return None
    length, start = _matroska_size(head, segment + 4)
    if length != _unknown(start - segment - 4):
        return None if start + length <= size else _truncated(size, start + length)
    return _fault_of_elements(file, start, size)


def _fault_of_elements(file: BinaryIO, position: int, size: int) -> str | None:
    """A file whose recorder could not go back to write the total length: its parts have theirs."""
    while position < size:
        file.seek(position)
        header = file.read(12)
        width = 9 - header[0].bit_length()
        length, start = _matroska_size(header, width)
        if header[:4] == _CLUSTER:
            position += start
        elif width > 4 or position + start + length > size:
            return "it is truncated: its last part is not complete"
        else:
            position += start + length
    return None


def _unknown(width: int) -> int:
    """The value that means an unknown length."""
    return (1 << 7 * width) - 1


def _matroska_size(head: bytes, position: int) -> tuple[int, int]:
    """A Matroska number, whose leading zero bits give its number of bytes, and its end."""
    if position >= len(head) or not head[position]:
        return 0, len(head)
    width = 9 - head[position].bit_length()
    marked = int.from_bytes(head[position : position + width])
    return marked & ((1 << 7 * width) - 1), position + width


_CONTAINERS: dict[bytes, Callable[[BinaryIO, bytes, int], str | None]] = {
    _EBML: _fault_of_matroska,
    b"RIFF": _fault_of_riff,
    b"FLV": _fault_of_flv,
    _ASF: _fault_of_asf,
    b"OggS": _fault_of_tail,
    b"GIF8": _fault_of_tail,
    _PACK: _fault_of_program,
}
"""The checks for faults, by the first bytes of a file."""
