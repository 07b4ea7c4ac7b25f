"""Annotated frames of videos, each scored as an image."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from medvid.data.grid import Grid
from medvid.data.masked import MaskedVideo
from medvid.plugin.specs import Axes


class AnnotatedFrame:
    """A frame that has a label map, see `medvid.data.dataset.SegmentationCase`; it is named like its video.

    Args:
        video: the video.
        number: of the frame, from 0.
    """

    axes: ClassVar[Axes] = "image"
    display_window: ClassVar[None] = None

    def __init__(self, video: MaskedVideo, number: int) -> None:
        self.id, self.number, self._video = video.id, number, video
        self.patient: str = getattr(video, "patient", "")
        self.groups = video.annotated[number]

    @property
    def grid(self) -> Grid:
        """That of the video, without time."""
        grid = self._video.grid
        return Grid(
            native_shape=grid.native_shape[1:],
            native_spacing=grid.native_spacing[1:],
            prepared_shape=grid.prepared_shape[1:],
            prepared_spacing=grid.prepared_spacing[1:],
            axes=(0, 1),
            scale=grid.scale[1:],
            offset=grid.offset[1:],
        )

    def input(self) -> Tensor:
        return next(self._video.read([self.number]))

    def native_input(self) -> np.ndarray:
        return next(self._video.pictures([self.number]))

    def native_truth(self) -> np.ndarray:
        return self._video.frame_truth(self.number)

    def prepared_truth(self) -> np.ndarray:
        return self._video.prepared_frame_truth(self.number)

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:  # noqa: ARG002 (its video is written)
        """Nothing: its video is written."""
        return ()

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """Nothing: its video is written."""
        return ()
