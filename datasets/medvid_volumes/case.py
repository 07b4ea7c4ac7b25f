"""A volume with an answer of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.labelled import LabelledCase
from medvid.data.placement import Placement
from medvid.data.volumes.preparation import Prepared


class WholeVolume:
    """A volume that is read when it is used, see `medvid.data.dataset.ViewedCase`.

    Args:
        id: its name.
        path: its file or folder.
        load: reads it from the cache, or prepares it.
        target: its answer; None for a new file.
        patient: whose it is; empty where nothing says so.
    """

    def __init__(
        self, id: str, path: Path, load: Callable[[], Prepared], target: Tensor | None = None, patient: str = ""
    ) -> None:
        self.id, self.target, self.patient = id, target, patient
        self.sources = (path,)
        self._load = load

    def input(self) -> Tensor:
        """The prepared volume (C, *S)."""
        return self._case.input()

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:
        """The volume, (crops, C, *S): nothing lies outside of it."""
        return self._case.views(clips, crops, placement)

    def thumbnails(self, count: int) -> np.ndarray:
        """Axial slices (at most `count`, H, W, 3)."""
        return self._case.thumbnails(count)

    @property
    def _case(self) -> LabelledCase:
        """The volume, read anew: not kept, as the case goes to other processes with its views."""
        image = torch.from_numpy(np.array(self._load().image, np.float32))
        return LabelledCase(self.id, image, self.target, "volume")
