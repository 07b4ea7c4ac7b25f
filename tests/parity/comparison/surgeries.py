"""The layout of Cholec80 (case ``cholec80`` of the fixture ``formats``): phases and tools of each frame."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from comparison.checks import Check
from medvid_surgery.config import Cholec80Options
from medvid_surgery.data import Surgeries

FRAMES = {"phase_25fps": ("phases", None), "phase_1fps": ("phases", 1.0), "tools_1fps": ("tools", 1.0)}
"""What is annotated, and at how many frames per second, by the arrays of the fixture."""


def compare_cholec80(case: Mapping[str, Any], arrays: Mapping[str, np.ndarray], folder: Path) -> Iterator[Check]:
    """Names, numbers of frames, and the target of each frame."""
    for name, (what, fps) in FRAMES.items():
        data = Surgeries(Cholec80Options.model_validate({"root": folder, "what": what, "fps": fps}))
        yield Check(f"names of {what}", float(list(data.target_info.names) != case["expected"][what]), 0)
        for video, counts in case["expected"]["videos"].items():
            opened = data.open_case(video)
            target = opened.target.numpy()
            wanted = counts["frames"] if fps is None else counts["frames_1fps"]
            yield Check(f"{video} frames of {name}", float(abs(opened.frame_count - wanted)), 0)
            yield Check(f"{video} {name}", float(np.abs(target - arrays[f"{video}.{name}"]).max()), 0)
