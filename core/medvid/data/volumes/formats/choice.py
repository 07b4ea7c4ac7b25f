"""Which format the file of a volume has: what is named like one, and which one its content is of."""

from collections.abc import Mapping
from copy import copy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from medvid.data.listing import files_below, find_files, find_folders
from medvid.data.volumes.formats.plugin import SHIPPED
from medvid.errors import ConfigError
from medvid.plugin.specs import BuildAll, FormatSpec, load_attribute
from medvid.sentences import alternatives

if TYPE_CHECKING:
    from medvid.config.options import FormatOptions
    from medvid.data.volumes.formats.format import Format

USUAL = "nifti"
"""What label maps are written in, where the image's own format is read only."""


class Formats:
    """The enabled formats. Pickled into loader workers with the data set.

    Args:
        made: each with its spec.
        forced: options of the one that all images are read by; None: by content, then by suffix.
        answers: name of the one in which label maps are written; empty: as the format of their image says.

    Raises:
        ConfigError: `answers` is not the name of a format that writes.
    """

    def __init__(
        self, made: Mapping[FormatSpec, "Format"], forced: "FormatOptions | None" = None, answers: str = ""
    ) -> None:
        self.forced, self.answers = forced, answers
        self._made = dict(made)
        self._writing = {spec.name: (spec, one) for spec, one in made.items() if spec.writes}
        self._check_answers("is not installed, or does not write label maps")
        self._suffixes = sorted({suffix for spec in self._made for suffix in spec.suffixes}, key=len, reverse=True)

    @property
    def names(self) -> str:
        """The endings of files of volumes, for messages."""
        return alternatives(list(dict.fromkeys(suffix for spec in self._made for suffix in spec.suffixes)))

    def is_volume(self, path: Path) -> bool:
        """Whether a file name ends as those of volumes do, in any case."""
        return bool(self.ending(path))

    def ending(self, path: Path) -> str:
        """The ending of a file of a volume, as written; empty for other files."""
        lower = path.name.lower()
        suffix = next((suffix for suffix in self._suffixes if lower.endswith(suffix)), "")
        return path.name[len(path.name) - len(suffix) :]

    def stem(self, path: Path) -> str:
        """A file's name without its ending as a volume."""
        return path.name.removesuffix(self.ending(path))

    def case_name(self, path: Path) -> str:
        """Name of the case whose first file this is: without its ending and nnU-Net's ``_0000``."""
        return self.stem(path).removesuffix("_0000")

    def volumes_in(self, folder: Path) -> tuple[Path, ...]:
        """The volumes that lie in a folder, by name: files that are named so, and folders of files that are one."""
        files = [file for file in find_files(folder, recursive=False) if self.is_volume(file)]
        return tuple(sorted((*files, *filter(self.is_folder, find_folders(folder))), key=lambda path: path.name))

    def has_structures(self, path: Path) -> bool:
        """Whether a folder has a file for each of several structures, rather than the parts of one volume."""
        return path.is_dir() and not self.is_folder(path) and bool(self.volumes_in(path))

    def maps_of(self, path: Path) -> tuple[Path, ...]:
        """The files of an annotation: itself, or those of the structures of a folder."""
        return self.volumes_in(path) if self.has_structures(path) else (path,)

    def annotations_in(self, folder: Path) -> tuple[Path, ...]:
        """The annotations that lie in a folder: volumes, and folders with a file for each structure."""
        return (*self.volumes_in(folder), *filter(self.has_structures, find_folders(folder)))

    def parts_of(self, path: Path) -> tuple[Path, ...]:
        """The files that a volume has, as their names tell: those below a folder, or a file and its companions."""
        ending = self.ending(path).lower()
        companions = (each for spec in self._made if ending in spec.suffixes for each in spec.companions)
        beside = (path.with_name(f"{self.stem(path)}{each}") for each in companions)
        return (*files_below(path), *filter(Path.is_file, beside))

    def has_parts(self, folder: Path) -> bool:
        """Whether the files that lie in a folder, rather than in folders below it, are parts of one volume."""
        formats = [one for spec, one in self._made.items() if spec.folders]
        files = find_files(folder, recursive=False)
        if named := [file for file in files if self.is_volume(file)]:
            return all(any(one.recognises(file) for one in formats) for file in named)
        return any(one.recognises(file) for one in formats for file in files)

    def is_folder(self, path: Path) -> bool:
        """Whether a folder, of files of any name, is one volume by its content."""
        return path.is_dir() and any(spec.folders and one.recognises(path) for spec, one in self._made.items())

    def of(self, path: Path) -> "Format":
        """The format of a file or folder: the one that recognises its content, else the first that is named so."""
        lower, is_folder = path.name.lower(), path.is_dir()
        fitting = [spec for spec in self._made if spec.folders or not is_folder] or list(self._made)
        ordered = [self._made[spec] for spec in sorted(fitting, key=lambda spec: not lower.endswith(spec.suffixes))]
        if len(ordered) == 1 or not path.exists():
            return ordered[0]
        return next((one for one in ordered if one.recognises(path)), ordered[0])

    @property
    def pictures(self) -> tuple[str, ...]:
        """The endings of files that can be one image each."""
        return tuple(ending for spec in self._made for ending in spec.pictures)

    def of_picture(self, path: Path) -> "Format":
        """The format of an image of two axes, whose name ends like one of `pictures`: by content, then by name."""
        lower = path.name.lower()
        fitting = [one for spec, one in self._made.items() if spec.pictures and lower.endswith(spec.pictures)]
        return next((one for one in fitting if one.recognises(path)), fitting[0])

    def of_image(self, path: Path) -> "Format":
        """The format of an image: the one that is forced, else as `of`."""
        forced = self.forced.name if self.forced else ""
        return next((one for spec, one in self._made.items() if spec.name == forced), None) or self.of(path)

    def writing(self, name: str) -> tuple[tuple[FormatSpec, "Format"], ...]:
        """The formats in which label maps of an image are written, in the order in which they are tried.

        That is the one asked for; else the one that the image's own format says, then `USUAL`.

        Args:
            name: of the image's format.
        """
        if self.answers:
            return (self._writing[self.answers],)
        own = next((spec.answers for spec in self._made if spec.name == name), "") or name
        return tuple(self._writing[each] for each in dict.fromkeys((own, USUAL)) if each in self._writing)

    def without_patients(self) -> "Formats":
        """The same, but for those that write the names of patients into files.

        Raises:
            ConfigError: label maps are to be written in one of them.
        """
        kept = copy(self)
        kept._writing = {name: (spec, one) for name, (spec, one) in self._writing.items() if not spec.identifies}
        kept._check_answers("names the patient in its files, which a run with pseudonyms must not do")
        return kept

    def _check_answers(self, reason: str) -> None:
        if self.answers and self.answers not in self._writing:
            raise ConfigError(
                f"predictions cannot be written as {self.answers}, which {reason}",
                hint=f"set dataset.answers (platform predict --format) to {alternatives(sorted(self._writing))}",
            )


def enabled_formats(build_all: BuildAll, forced: "FormatOptions | None" = None, answers: str = "") -> Formats:
    """All formats of the enabled plugins.

    Args:
        build_all: see `medvid.plugin.host.Host.build_all`.
        forced: options of the one that all images are read by.
        answers: name of the one in which label maps are written.

    Raises:
        ConfigError: as `Formats`.
    """
    given = () if forced is None else (forced,)
    return Formats(build_all(FormatSpec, *given), forced, answers)


@cache
def shipped_formats() -> Formats:
    """The formats that medvid itself ships, without a host."""
    return Formats({spec: load_attribute(spec.target)(load_attribute(spec.config)()) for spec in SHIPPED})
