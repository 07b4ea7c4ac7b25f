"""Standardised uptake: from activity per volume to SUV by body weight."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from medvid.data.volumes.formats.format import UnusableError
from medvid_dicom.frames import Frame


def suv_factor(frames: Sequence[Frame]) -> float:
    """The number that Bq/ml are multiplied by for SUVbw, in g/ml.

    SUVbw = activity * weight / dose, the dose decayed to the time that the series is corrected to (QIBA's vendor
    neutral procedure).

    Args:
        frames: of one series.

    Raises:
        UnusableError: the series is not corrected as this needs, or values are missing.
    """
    first = frames[0]
    units = str(first.get("Units", ""))
    if units == "GML" and first.get("SUVType", "BW") == "BW":
        return 1.0
    if units != "BQML":
        raise _refused(first, f"Units is {units or 'missing'}, BQML is needed")
    corrected = set(first.get("CorrectedImage") or ())
    if missing := {"DECY", "ATTN"} - corrected:
        raise _refused(first, f"CorrectedImage lacks {' and '.join(sorted(missing))}")
    drug = (first.get("RadiopharmaceuticalInformationSequence") or [{}])[0]
    weight, dose = (_positive(first, name, value) for name, value in _amounts(first, drug))
    return 1000 * weight / (dose * _decay(frames, drug))


def _amounts(frame: Frame, drug: Any) -> list[tuple[str, Any]]:
    return [
        ("PatientWeight", frame.get("PatientWeight")),
        ("RadionuclideTotalDose", drug.get("RadionuclideTotalDose")),
    ]


def _decay(frames: Sequence[Frame], drug: Any) -> float:
    """The part of the injected activity that is left at the time that the series is corrected to."""
    first = frames[0]
    correction = first.get("DecayCorrection")
    if correction == "ADMIN":
        return 1.0
    if correction != "START":
        raise _refused(first, f"DecayCorrection is {correction or 'missing'}, START or ADMIN is needed")
    half_life = _positive(first, "RadionuclideHalfLife", drug.get("RadionuclideHalfLife"))
    start = _start(frames)
    full = drug.get("RadiopharmaceuticalStartDateTime")
    injected = _moment(first, str(full)) if full else None
    if injected is None:
        time = drug.get("RadiopharmaceuticalStartTime")
        if not time:
            raise _refused(first, "RadiopharmaceuticalStartTime is missing")
        injected = _moment(first, f"{start:%Y%m%d}{time}")
        if injected > start:  # before midnight
            injected -= timedelta(days=1)
    return float(2 ** (-(start - injected).total_seconds() / half_life))


def _start(frames: Sequence[Frame]) -> datetime:
    """When the series started; SeriesTime is later where the series was made again, so the first acquisition counts."""
    moments = [
        _moment(frame, f"{frame.get(date)}{frame.get(time)}")
        for date, time in (("SeriesDate", "SeriesTime"), ("AcquisitionDate", "AcquisitionTime"))
        for frame in frames
        if frame.get(date) and frame.get(time)
    ]
    if not moments:
        raise _refused(frames[0], "SeriesTime and AcquisitionTime are missing")
    return min(moments)


def _moment(frame: Frame, text: str) -> datetime:
    """From YYYYMMDDHHMMSS.ffffff, with the zone of the text left out."""
    digits, _, fraction = re.split(r"[+-]", text, maxsplit=1)[0].partition(".")
    try:
        whole = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        raise _refused(frame, f"the time {text} cannot be read") from None
    return whole + timedelta(seconds=float(f"0.{fraction or 0}"))


def _positive(frame: Frame, name: str, value: Any) -> float:
    number = float(value or 0)
    if number <= 0:
        raise _refused(frame, f"{name} is {value if value is not None else 'missing'}")
    return number


def _refused(frame: Frame, reason: str) -> UnusableError:
    return frame.header.fault(f"SUV cannot be computed: {reason}", "set suv: false, for the numbers as they are")
