"""Images with answers of their own."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from torch import Tensor

from medvid.data.dataset import ViewedCase
from medvid.data.images.index import SUFFIXES, find_images
from medvid.data.tables.dataset import AnsweredDataset
from medvid.data.tables.facts import FileFacts
from medvid.data.tables.index import AnsweredCase
from medvid.data.volumes.formats.choice import enabled_formats, shipped_formats
from medvid.plugin.specs import BuildAll
from medvid_images.case import WholeImage, normalise
from medvid_images.config import WholeImageOptions

log = logging.getLogger(__name__)


class Images(AnsweredDataset):
    """A user's own images, see `medvid_images.config.ImagesOptions`; they are read from their files each time.

    Args:
        options: the validated options.
        build_all: gives the formats of the enabled plugins, for images of medicine; default: none.
    """

    options: WholeImageOptions

    def __init__(self, options: WholeImageOptions, build_all: BuildAll | None = None) -> None:
        super().__init__(options)
        self.formats = enabled_formats(build_all) if build_all else shipped_formats()

    def is_case(self, path: Path) -> bool:
        return path.name.casefold().endswith((*SUFFIXES, *self.formats.pictures)) and not path.is_dir()

    def open_file(self, name: str, path: Path, answered: AnsweredCase | None) -> WholeImage:
        patient = answered.patient if answered else ""
        return WholeImage(name, path, self.options, self.formats, self.target_of(answered), patient)

    def look_at(self, case: str) -> FileFacts:
        answered = self.answered(case)
        return self.open_file(case, answered.path, answered).facts()

    def unnormalised(self, case: ViewedCase) -> Tensor:
        return cast(WholeImage, case).unit()

    def normalise(self, input: Tensor) -> Tensor:
        return normalise(input, self.options)

    def open(self, paths: Sequence[Path]) -> Iterator[WholeImage]:
        index = find_images(paths, more=self.formats.pictures)
        for note in index.notes:
            log.warning("%s", note)
        for files in index.cases.values():
            yield self.open_file(files.id, files.image, None)
