"""Volumes with answers of their own."""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.problems import say_together
from medvid.data.splits import check_copies
from medvid.data.tables.dataset import AnsweredDataset
from medvid.data.tables.facts import AIR, FileFacts
from medvid.data.tables.index import AnsweredCase
from medvid.data.volumes import reading
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.cache import VolumeCache
from medvid.data.volumes.content import Contents, Fingerprint
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import enabled_formats, shipped_formats
from medvid.data.volumes.index import find_volumes
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import Prepared
from medvid.plugin.specs import BuildAll
from medvid_volumes.case import WholeVolume
from medvid_volumes.config import VolumesOptions
from medvid_volumes.preparation import WholeVolumePreparation

log = logging.getLogger(__name__)


class Volumes(AnsweredDataset):
    """A user's own volumes, see `medvid_volumes.config.VolumesOptions`; prepared once, and then read from the cache.

    Args:
        options: the validated options.
        build_all: gives the formats of the enabled plugins; default: those that medvid ships.
    """

    options: VolumesOptions

    def __init__(self, options: VolumesOptions, build_all: BuildAll | None = None) -> None:
        super().__init__(options)
        self.formats = enabled_formats(build_all, options.format) if build_all else shipped_formats()
        self._contents = Contents(options.cache.expanduser(), options.root)

    def is_case(self, path: Path) -> bool:
        return self.formats.is_folder(path) if path.is_dir() else self.formats.is_volume(path)

    def open_file(self, name: str, path: Path, answered: AnsweredCase | None) -> WholeVolume:
        files = CaseFiles(name, (path,))
        if answered is None:
            return WholeVolume(name, path, partial(_prepare_aloud, self.preparation, files))
        load = partial(self._cache.read, files, self._fingerprint(answered))
        return WholeVolume(name, path, load, self.target_of(answered), answered.patient)

    def look_at(self, case: str) -> FileFacts:
        volume = reading.read(self.formats, self.answered(case).path, case)
        turn = closest_ras(volume.affine)[:, 0].argsort()
        values = volume.channels_last
        lowest = float(values.min())
        seen = values[values > AIR] if lowest <= AIR else values
        low, high = np.percentile(seen, (0.5, 99.5)) if seen.size else (lowest, lowest)
        return FileFacts(
            tuple(np.array(values.shape[:3])[turn].tolist()),
            values.shape[3],
            lowest,
            float(low),
            float(high),
            0.0,
            tuple(np.array(volume.geometry.spacing)[turn].tolist()),
        )

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (nothing is left out)
        """Prepare a volume without storing it."""
        return self.preparation.prepare(CaseFiles(case, (self.answered(case).path,))).notes

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        files = [_files(self.answered(case)) for case in cases]
        content = self._contents.find(files, self.formats)
        copies = check_copies(self.splits, {case: found.image for case, found in content.items()})
        entries = self._cache.prepare({file: content[file.id] for file in files}, progress)
        for note in (*copies, *say_together({case: entry.notes for case, entry in entries.items()})):
            log.warning(note)

    def record(self, cases: Sequence[str], progress: Progress) -> None:
        """Read all of the files, which a run trusts by their sizes and times."""
        self._contents.reread([_files(self.answered(case)) for case in cases], self.formats, progress)

    def fingerprint(self, case: str) -> str:
        return self._fingerprint(self.answered(case)).image

    def open(self, paths: Sequence[Path]) -> Iterator[WholeVolume]:
        found = find_volumes(paths, self.options.channels, "pairs", formats=self.formats)
        for note in found.notes:
            log.warning(note)
        for files in found.cases.values():
            yield self.open_file(files.id, files.images[0], None)

    @cached_property
    def preparation(self) -> WholeVolumePreparation:
        """What makes a volume's files what the model sees; its settings decide which entry of the cache that is."""
        options = self.options
        return WholeVolumePreparation(
            channels=options.channels,
            scheme=LabelScheme(()),
            spacing=options.spacing,
            normalize=options.normalize,
            window=options.window,
            crop=options.body,
            straighten=options.straighten,
            formats=self.formats,
            size=options.size,
            fit=options.fit,
        )

    @cached_property
    def _cache(self) -> VolumeCache:
        return VolumeCache(self.options.cache.expanduser(), self.preparation)

    def _fingerprint(self, case: AnsweredCase) -> Fingerprint:
        return self._contents.of(_files(case), self.formats)


def _files(case: AnsweredCase) -> CaseFiles:
    return CaseFiles(case.id, (case.path,))


def _prepare_aloud(preparation: WholeVolumePreparation, files: CaseFiles) -> Prepared:
    """Prepare a volume and log what is odd about it."""
    prepared = preparation.prepare(files)
    for note in prepared.notes:
        log.warning("case %s: %s (%s)", files.id, note, files.images[0])
    return prepared
