"""A third party's format: arrays of numpy, with the affine beside the voxels."""

import io
from pathlib import Path
from typing import Literal

import numpy as np

from medvid.config.options import FormatOptions
from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, UnusableError, Volume
from medvid.files import write_bytes
from medvid.plugin import FormatSpec


class ToyOptions(FormatOptions):
    name: Literal["toy"] = "toy"


class Toy(Format):
    def recognises(self, path: Path) -> bool:
        return path.read_bytes()[:2] == b"PK"

    def geometry(self, path: Path) -> Geometry:
        return self.read(path).geometry

    def read(self, path: Path) -> Volume:
        try:
            with path.open("rb") as stream, np.load(stream) as file:
                voxels = file["voxels"]
                return Volume(voxels, Geometry(voxels.shape[:3], file["affine"], format="toy"))
        except Exception as error:
            raise UnusableError(f"is damaged ({error})") from error

    def write(self, path: Path, label_map: LabelMap) -> None:
        content = io.BytesIO()
        np.savez(content, voxels=label_map.labels, affine=label_map.geometry.affine)
        write_bytes(path, content.getvalue())


SPEC = FormatSpec(
    name="toy", target=f"{__name__}:Toy", config=f"{__name__}:ToyOptions", suffixes=(".toy",), writes=".toy"
)
