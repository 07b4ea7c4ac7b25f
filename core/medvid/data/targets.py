"""What a case, or each of its frames, is annotated with, as a tensor of `medvid.plugin.info`."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.sentences import listed

Answer = int | Sequence[float] | np.ndarray
"""Of a case: the id of its class; 0 or 1 of each label (L,); or values (V,). `UNKNOWN`, or NaN, where it is unknown."""


def target_dtype(info: TargetInfo) -> torch.dtype:
    """Of the targets of a batch, on the model's device."""
    return torch.int64 if info.what == "class" else torch.float32


def case_target(answer: Answer, info: TargetInfo, case: str) -> Tensor:
    """A case's answer as a target, checked.

    Args:
        answer: of the case.
        info: what it has to be.
        case: named in errors.

    Returns:
        () int64 for a class, (L,) float32 for labels, (V,) float32 for values.

    Raises:
        DataError: it has another shape, is out of range, or unknown where nothing may be.
    """
    target = torch.as_tensor(answer, dtype=target_dtype(info))
    count = len(info.names)
    wanted = () if info.what == "class" else (count,)
    if target.shape != wanted:
        raise DataError(f"case {case} has an answer of shape {tuple(target.shape)}, not {wanted}")
    valid = _is_valid(target, info)
    if bool(valid.all()):
        return target
    if info.what == "class":
        raise DataError(f"case {case} has label {int(target)}; {count} labels are declared, 0 to {count - 1}")
    odd = [f"{name} {value:g}" for name, value, good in zip(info.names, target, valid, strict=True) if not good]
    should = "0 or 1" if info.what == "labels" else "finite numbers"
    raise DataError(f"case {case} has {listed(odd)}; {should} {'is' if info.what == 'labels' else 'are'} expected")


def frame_target(answers: Answer, info: TargetInfo, case: str) -> Tensor:
    """The answers of all frames of a case as a target, checked.

    Args:
        answers: of the N frames: (N,), (N, L) or (N, V).
        info: what they have to be.
        case: named in errors.

    Returns:
        (N,) int64 for a class, (N, L) float32 for labels, (N, V) float32 for values.

    Raises:
        DataError: as `case_target`, naming the frame.
    """
    target = torch.as_tensor(answers, dtype=target_dtype(info))
    if target.shape[1:] == unknown_target(info).shape and bool(_is_valid(target, info).all()):
        return target
    for number, one in enumerate(target):
        case_target(one.numpy(), info, f"{case}, frame {number}")
    return target


def _is_valid(target: Tensor, info: TargetInfo) -> Tensor:
    """Which entries of a target are what they have to be: bool, of its shape."""
    valid = is_known(target, info)
    if info.what == "class":
        valid &= (target >= 0) & (target < len(info.names))
    elif info.what == "labels":
        valid &= (target == 0) | (target == 1)
    else:
        valid &= target.isfinite()
    return valid | ~is_known(target, info) if info.has_unknown else valid


def unknown_target(info: TargetInfo) -> Tensor:
    """The target of a case that nobody has annotated."""
    if info.what == "class":
        return torch.tensor(UNKNOWN)
    return torch.full((len(info.names),), float("nan") if info.what == "value" else float(UNKNOWN))


def is_known(target: Tensor, info: TargetInfo) -> Tensor:
    """Which entries of a target are annotated: bool, of its shape."""
    return ~target.isnan() if info.what == "value" else target != UNKNOWN
