"""EchoNet-Dynamic's left ventricles: two traced frames of each video."""

import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from medvid.data.splits import Splits
from medvid.data.videos.masked.dataset import MaskedVideoDataset
from medvid.data.videos.masked.video import FrameMasks, SegmentedVideo
from medvid.digests import digest_of_rows
from medvid.errors import DataError
from medvid_echonet.index import FileList, read_file_list
from medvid_echonet.tracing_table import TRACINGS, Chords, read_tracings
from medvid_echonet.tracings import area_of, mask_of
from medvid_echonet.ventricle_config import EchoNetLVOptions

log = logging.getLogger(__name__)

_PHASES = ("ED", "ES")


class EchoNetLV(MaskedVideoDataset):
    """See `medvid_echonet.ventricle_config.EchoNetLVOptions`."""

    options: EchoNetLVOptions

    @cached_property
    def videos(self) -> Mapping[str, SegmentedVideo]:
        root, clips = self.options.root, self._file_list.index.clips
        traced = read_tracings(root)
        return {
            name: SegmentedVideo(name, Path(clips[name].path), TracedMasks(root / TRACINGS, traced[name]))
            for name in clips
        }

    @property
    def declared_splits(self) -> Splits:
        return {split: tuple(cases) for split, cases in self._file_list.index.splits.items()}

    @cached_property
    def _file_list(self) -> FileList:
        if not (path := self.options.root / TRACINGS).is_file():
            raise DataError(f"{path} does not exist", hint="set dataset.root to the folder as published")
        found = read_file_list(self.options.root, drop_untraced=True)
        for note in found.index.notes:
            log.warning(note)
        return found


class TracedMasks(FrameMasks):
    """The traced frames of a video; of two, the larger ventricle is that of ED, the other that of ES.

    Args:
        table: VolumeTracings.csv.
        chords: of each traced frame.
    """

    hint = f"correct the frames in a copy of {TRACINGS}, or take the video out of FileList.csv"

    def __init__(self, table: Path, chords: Mapping[int, Chords]) -> None:
        self._table, self._chords = table, chords

    @property
    def files(self) -> tuple[Path, ...]:
        return (self._table,)

    @property
    def source(self) -> str:
        return str(self._table)

    def annotated(self) -> Mapping[int, tuple[str, ...]]:
        numbers = sorted(self._chords)
        if len(numbers) != len(_PHASES):
            return dict.fromkeys(numbers, ())
        from_largest = sorted(numbers, key=lambda number: -area_of(self._chords[number]))
        phases = dict(zip(from_largest, _PHASES, strict=True))
        return {number: (phases[number],) for number in numbers}

    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:
        return mask_of(self._chords[number], size).astype(np.uint8)

    def digest(self) -> str:
        return digest_of_rows((number, *chords) for number, chords in sorted(self._chords.items()))
