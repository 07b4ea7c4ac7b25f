"""MedMNIST: small images and volumes with a class, or labels, each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medvid.data.batch import Batch
from medvid.data.dataset import Progress
from medvid.data.images.files import read_image, scale
from medvid.data.labelled import LabelledDataset
from medvid.data.splits import Splits
from medvid.data.targets import Answer
from medvid.data.transform import apply
from medvid.digests import digest_of
from medvid.errors import DataError
from medvid_medmnist.archive import PARTS, Archive
from medvid_medmnist.config import MedMNISTOptions


class MedMNIST(LabelledDataset):
    """One set, see `medvid_medmnist.config`. A case is named after its split and its place in it: ``train/000017``."""

    options: MedMNISTOptions

    def declared(self) -> Splits:
        return {
            part: tuple(f"{part}/{place:06d}" for place in range(len(self._archive.array(part, "labels"))))
            for part in PARTS
        }

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Unpack the file into the cache, and check its arrays as a whole."""
        self._archive.unpack()
        for split in dict.fromkeys(case.split("/")[0] for case in cases):
            self._check(split)
        progress(len(cases), len(cases))

    def read(self, case: str) -> tuple[np.ndarray, Answer]:
        split, place = self._place(case)
        labels = np.array(self._archive.array(split, "labels")[place])
        return self._input(case), labels if self.target_info.what == "labels" else int(labels[0])

    def annotation(self, case: str) -> np.ndarray:
        labels = np.array(self._answer(case))
        return labels if self.target_info.what == "labels" else labels[0]

    def read_file(self, path: Path) -> np.ndarray:
        """An image file, or a volume in an .npy file."""
        if not self.options.one.is_volume:
            return self._sized(scale(read_image(path, path.stem), self.options.channels, None))
        try:
            volume = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} cannot be read: {error}", hint="volumes are .npy files of three axes") from error
        if volume.ndim != 3 or volume.dtype != np.uint8:
            raise DataError(f"{path} has shape {volume.shape} of {volume.dtype}, not three axes of uint8")
        return self._sized(np.repeat(volume[None] / np.float32(255), self.options.channels, axis=0))

    def digest(self, cases: Sequence[str]) -> str:
        return digest_of("".join(f"{case}\0{self.fingerprint(case)}\0{self._answer(case)}" for case in cases).encode())

    def fingerprint(self, case: str) -> str:
        split, place = self._place(case)
        return digest_of(np.ascontiguousarray(self._archive.array(split, "images")[place]).tobytes())

    def draw(self, case: str, seed: int) -> Batch:
        read = self.open_case(case)
        assert read.target is not None, "each case has an answer"
        unit = read.prepared * self.options.std + self.options.mean if self.transforms else read.prepared
        batch = Batch(unit[None], read.target[None], (case,))
        if not self.transforms:
            return batch
        changed = apply(self.transforms, batch, torch.Generator().manual_seed(seed))
        return replace(changed, input=(changed.input - self.options.mean) / self.options.std)

    @property
    def _archive(self) -> Archive:
        return Archive(self.options.archive(), self.options.cache.expanduser())

    def _place(self, case: str) -> tuple[str, int]:
        split, _, place = case.partition("/")
        if split not in PARTS or not place.isdecimal() or int(place) >= len(self._archive.array(split, "labels")):
            raise DataError(f"there is no case {case} in {self.options.archive()}")
        return split, int(place)

    def _answer(self, case: str) -> list[int]:
        split, place = self._place(case)
        return self._archive.array(split, "labels")[place].tolist()

    def _input(self, case: str) -> np.ndarray:
        split, place = self._place(case)
        image = np.array(self._archive.array(split, "images")[place], np.float32) / 255
        colours = 3 if self.options.one.channels == 3 else 1
        channels = np.moveaxis(image, -1, 0) if colours == 3 else image[None]
        return self._sized(np.repeat(channels, self.options.channels // colours, axis=0))

    def _sized(self, image: np.ndarray) -> np.ndarray:
        """(C, *S) in [0, 1] at the model's size, normalised."""
        size, tensor = self.input_info.size, torch.from_numpy(np.ascontiguousarray(image, np.float32))
        if tensor.shape[1:] != size:
            tensor = _resized(tensor, size)
        return ((tensor - self.options.mean) / self.options.std).numpy()

    def _check(self, split: str) -> None:
        """Refuse arrays of other shapes, and labels that there are not."""
        options, path = self.options, self.options.archive()
        images, labels = (self._archive.array(split, kind) for kind in ("images", "labels"))
        one, side = options.one, images.shape[1]
        wanted = (side,) * (3 if one.is_volume else 2) + ((3,) if one.channels == 3 else ())
        if images.dtype != np.uint8 or images.shape[1:] != wanted or len(images) != len(labels):
            raise DataError(f"{path}: {split} has images {images.shape} of {images.dtype}, labels {labels.shape}")
        top, columns = (1, len(one.names)) if one.task == "labels" else (len(one.names) - 1, 1)
        if labels.ndim != 2 or labels.shape[1] != columns or labels.max(initial=0) > top or labels.min(initial=0) < 0:
            raise DataError(f"{path}: the labels of {split}, {labels.shape}, are not {columns} of 0 to {top} each")


def _resized(image: Tensor, size: tuple[int, ...]) -> Tensor:
    mode = "trilinear" if len(size) == 3 else "bilinear"
    found = functional.interpolate(image[None], size, mode=mode, align_corners=False, antialias=mode == "bilinear")
    return found[0].clamp(0, 1)
