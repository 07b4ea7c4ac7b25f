"""Pixels as values: decoded, rescaled frame by frame, bright where numbers are high, padding taken for air."""

from typing import Any

import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, get_decoder, pixel_array

from medvid_dicom.files import Header
from medvid_dicom.frames import Frame

INSTALL = 'pip install "medvid[dicom]"'

_MEASURED = ("CT", "PT", "RTDOSE")
"""Modalities whose numbers are quantities, whatever is shown bright."""


def decode(header: Header) -> np.ndarray:
    """The stored numbers of a file, (frame, row, column) or (frame, row, column, 3) in RGB, whatever it is stored as.

    Raises:
        UnusableError: it holds none, is damaged, too large, or compressed so that a decoder has to be installed.
    """
    rows, columns, count = (int(header.number(name, 1)) for name in ("Rows", "Columns", "NumberOfFrames"))
    _check_decoder(header)
    try:
        with header.open() as stream:
            tags = pydicom.dcmread(stream, force=True)
            _mend(tags)
            pixels = pixel_array(tags)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # of any of pydicom's decoders
        raise header.fault(f"its pixels cannot be decoded: {_first_line(error)}", "export it again") from error
    colour = header.number("SamplesPerPixel", 1) > 1
    return np.asarray(pixels).reshape(count, rows, columns, *([3] if colour else []))


def values(frame: Frame, stored: np.ndarray) -> np.ndarray:
    """What the stored numbers of a frame mean: float32, or int32 where rescaling leaves whole numbers; colours as is.

    Args:
        frame: says slope, intercept and what is bright.
        stored: (row, column) or (row, column, 3), see `decode`.
    """
    if stored.ndim == 3:
        return stored
    if is_inverted(frame.header):
        low, high = _range(frame.header)
        stored = (low + high - stored.astype(np.int64)).astype(np.int32)
    if frame.header.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(stored, frame.header.tags)).astype(np.float32)
    slope = frame.number("RescaleSlope", frame.number("DoseGridScaling", 1))
    intercept = frame.number("RescaleIntercept")
    if stored.dtype.kind in "iu" and slope == 1 and intercept.is_integer():
        return (stored.astype(np.int64) + int(intercept)).astype(np.int32)
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def padding(frame: Frame, stored: np.ndarray) -> np.ndarray:
    """Which pixels (row, column) are not data but fill the frame, bool."""
    first = frame.header.get("PixelPaddingValue")
    if first is None or stored.ndim == 3:
        return np.zeros(stored.shape[:2], bool)
    limit = frame.header.get("PixelPaddingRangeLimit", first)
    low, high = sorted((_signed(frame.header, first), _signed(frame.header, limit)))
    return np.asarray((stored >= low) & (stored <= high))


def is_inverted(header: Header) -> bool:
    """Whether low numbers are bright, and are no quantities: they are inverted then, by the range of stored numbers."""
    return header.get("PhotometricInterpretation") == "MONOCHROME1" and header.get("Modality") not in _MEASURED


def _range(header: Header) -> tuple[int, int]:
    bits = int(header.number("BitsStored"))
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if header.get("PixelRepresentation") else (0, (1 << bits) - 1)


def _signed(header: Header, value: Any) -> int:
    """A stored number, which some writers give as if unsigned."""
    low, high = _range(header)
    number = int(value)
    return number - (1 << int(header.get("BitsAllocated"))) if low < 0 and number > high else number


def _mend(tags: Any) -> None:
    """Say of a file without meta information in which syntax it was read."""
    tags.file_meta = getattr(tags, "file_meta", None) or pydicom.dataset.FileMetaDataset()
    if "TransferSyntaxUID" not in tags.file_meta:
        implicit, little = tags.original_encoding
        named = {(True, True): "ImplicitVRLittleEndian", (False, True): "ExplicitVRLittleEndian"}
        tags.file_meta.TransferSyntaxUID = getattr(pydicom.uid, named.get((implicit, little), "ExplicitVRBigEndian"))


def _check_decoder(header: Header) -> None:
    syntax = header.tags.file_meta.get("TransferSyntaxUID")
    if syntax is None or not syntax.is_compressed or syntax.is_deflated:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise header.fault(
            f"it is compressed as {syntax.name}, which cannot be read",
            "convert it, e.g. with dcmdjpeg of dcmtk or gdcmconv --raw",
        ) from None
    if not decoder.is_available:
        raise header.fault(
            f"it is compressed as {syntax.name}, and no decoder for that is installed", f"{INSTALL} brings them all"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
