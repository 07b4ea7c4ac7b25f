"""A data set of segmented volumes: what the plugins for such data share."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from medvid.data.batch import Batch, with_target_type
from medvid.data.dataset import Progress
from medvid.data.problems import say_together
from medvid.data.splits import check_copies
from medvid.data.targets import target_dtype
from medvid.data.transform import apply, initial_size
from medvid.data.volumes import reading
from medvid.data.volumes.annotations import read_annotation
from medvid.data.volumes.cache import PROCESS_BYTES, VolumeCache
from medvid.data.volumes.case import VolumeCase
from medvid.data.volumes.cases import IndexedVolumes, say
from medvid.data.volumes.content import Contents, Fingerprint
from medvid.data.volumes.entry import equal_images
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.index import find_volumes
from medvid.data.volumes.options import VolumeDatasetOptions
from medvid.data.volumes.patches import draw_patches
from medvid.data.volumes.preparation import Prepared, VolumePreparation
from medvid.data.volumes.survey import Extent, mixed_voxel_sizes, small_volumes, unknown_units
from medvid.data.volumes.truth import truth_of
from medvid.digests import digest_of_rows
from medvid.errors import DataError
from medvid.machine import usable_memory
from medvid.plugin.specs import BuildAll
from medvid.seeding import derive_seed
from medvid.sentences import listed

log = logging.getLogger(__name__)


class VolumeDataset(IndexedVolumes):
    """Segmented volumes, prepared once and then read from the cache.

    Args:
        options: the validated options.
        build_all: gives the formats of the enabled plugins; default: those that medvid ships.
    """

    def __init__(self, options: VolumeDatasetOptions, build_all: BuildAll | None = None) -> None:
        super().__init__(options, build_all)
        self._contents = Contents(options.cache.expanduser(), options.root)

    def hide_patients(self) -> None:
        self.formats = self.formats.without_patients()

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        """As `Dataset.check`, with as many processes as fit into memory."""
        fitting = max(1, min(workers, usable_memory() // PROCESS_BYTES))
        errors = super().check(cases, progress, deep=deep, workers=fitting, seconds=seconds)
        foreseen: list[Extent] = []
        for case in self._trained_on([case for case in cases if case not in errors]):
            try:
                foreseen.append(self._foresee(case))
            except DataError as error:  # of a case that was not reached in time
                errors[case] = error
        say(self.survey(foreseen))
        return errors

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (nothing is left out)
        """Prepare a case without storing it."""
        return self.preparation.prepare(self.files(case)).notes

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        files = [self.files(case) for case in cases]
        content = self._contents.find(files, self.formats)
        check_copies(self.division, self._contents.images)
        entries = self._cache.prepare({file: content[file.id] for file in files}, progress)
        say(say_together({case: entry.notes for case, entry in entries.items()}))
        say(check_copies(self.division, equal_images(entries)))
        trained = [entries[case] for case in self._trained_on(cases)]
        say(self.survey([Extent.of(entry.grid, entry.geometry) for entry in trained]))

    def record(self, cases: Sequence[str], progress: Progress) -> None:
        """Read all of the files and of their entries in the cache, which a run trusts by their sizes and times."""
        files = [self.files(case) for case in cases]
        self._contents.reread(files, self.formats, progress)
        damaged = [file.id for file in files if self._cache.remove_damaged(self._contents.of(file, self.formats))]
        if damaged:
            log.warning("damaged in the cache, and prepared again when needed: %s", listed(damaged))

    def _trained_on(self, cases: Sequence[str]) -> list[str]:
        trained = set(self.division.get("train", ()))
        return [case for case in cases if case in trained]

    def _foresee(self, case: str) -> Extent:
        """The extent of a case, from the header of its first file."""
        return Extent.foreseen(
            reading.read_geometry(self.formats, self.files(case).images[0], case), self.options.spacing
        )

    def survey(self, trained: Sequence[Extent]) -> list[str]:
        """Notes on the training cases as a whole."""
        options = self.options
        mixed = "" if options.spacing else mixed_voxel_sizes(trained)
        small = small_volumes(trained, options.patch.size)
        lines = (
            f"{mixed}, and are not resampled: set dataset.spacing, in mm" if mixed else "",
            f"{small}: see dataset.patch.size and dataset.spacing" if small else "",
            unknown_units(trained),
        )
        return [line for line in lines if line]

    def digest(self, cases: Sequence[str]) -> str:
        contents = ((case, self._fingerprint(case)) for case in cases)
        return digest_of_rows((case, content.image, content.label) for case, content in contents)

    def fingerprint(self, case: str) -> str:
        return self._contents.stored(self.files(case), self.formats)

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def draw(self, case: str, seed: int) -> Batch:
        prepared = self.prepared(case)
        if prepared.label is None:
            raise DataError(f"case {case} has no {self.preparation.annotation}, it cannot be trained on")
        random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
        patch = self.options.patch
        larger = initial_size(self.transforms, patch.size)
        images, targets, masks = draw_patches(prepared, patch, random, self.preparation.scheme, larger)
        batch = Batch(images, targets, (case,) * len(images), mask=masks, size=patch.size)
        changed = apply(self.transforms, batch, torch.Generator().manual_seed(derive_seed(seed, "augment")))
        return changed.then(partial(with_target_type, dtype=target_dtype(self.target_info)))

    def annotation(self, case: str) -> np.ndarray | None:
        files, scheme = self.files(case), self.preparation.scheme
        if files.label is None:
            return None
        geometry = reading.read_geometry(self.formats, files.images[0], case)
        found = read_annotation(self.formats, files.label, case, scheme, geometry).data
        return np.moveaxis(found, 3, 0) if scheme.what == "value" else truth_of(found, scheme)

    def open_case(self, case: str) -> VolumeCase:
        files, content = self.files(case), self._fingerprint(case)
        return self._case(files, partial(self._cache.read, files, content), content)

    def open(self, paths: Sequence[Path]) -> Iterator[VolumeCase]:
        preparation = self.preparation
        found = find_volumes(paths, preparation.channels, self.options.folder_layout, formats=self.formats)
        say(found.notes)
        return self.open_files(found.cases.values())

    def open_files(self, cases: Iterable[CaseFiles]) -> Iterator[VolumeCase]:
        """New cases, each of which is prepared when it is first used."""
        return (self._case(files, partial(_prepare_aloud, self.preparation, files)) for files in cases)

    def prepared(self, case: str) -> Prepared:
        """A case as it is in the cache, where it is put if it is not there."""
        return self._cache.read(self.files(case), self._fingerprint(case))

    def _case(self, files: CaseFiles, load: Callable[[], Prepared], content: Fingerprint | None = None) -> VolumeCase:
        window = self.options.display_window()
        return VolumeCase(
            files, self.preparation.scheme, self.formats, load, content, window, straighten=self.options.straighten
        )

    @cached_property
    def preparation(self) -> VolumePreparation:
        """What makes a case's files what the model sees; its settings decide which entry of the cache that is."""
        options = self.options
        return VolumePreparation(
            channels=self.input_info.channels,
            scheme=options.label_scheme(),
            spacing=options.spacing,
            normalize=options.normalize,
            window=options.window,
            crop=options.crop,
            resampling=options.resampling,
            straighten=options.straighten,
            formats=self.formats,
        )

    @cached_property
    def _cache(self) -> VolumeCache:
        return VolumeCache(self.options.cache.expanduser(), self.preparation)

    def _fingerprint(self, case: str) -> Fingerprint:
        return self._contents.of(self.files(case), self.formats)


def _prepare_aloud(preparation: VolumePreparation, files: CaseFiles) -> Prepared:
    """Prepare a case and log what is odd about it."""
    prepared = preparation.prepare(files)
    for note in prepared.notes:
        log.warning("case %s: %s (%s)", files.id, note, files.images[0])
    return prepared
