"""An installed distribution, known by its metadata alone: nothing of it is imported."""

import base64
import csv
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from email.parser import HeaderParser
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from medvid.plugin.markers import ENTRY_POINT_GROUP, api_version

BUILTIN = "medvid"
"""The distribution whose plugins need no listing."""

CODE = {".py", ".pyd", ".so"}
"""What Python imports; other files of a distribution are not verified."""


class Installed:
    """A distribution as it is installed; each of its files is read at most once.

    Args:
        distribution: where it is found.
    """

    def __init__(self, distribution: metadata.Distribution) -> None:
        self._distribution = distribution

    @cached_property
    def headers(self) -> Message:
        """METADATA without the description, which can be long."""
        text = self._distribution.read_text("METADATA") or self._distribution.read_text("PKG-INFO") or ""
        return HeaderParser().parsestr(text.partition("\n\n")[0])

    @property
    def name(self) -> str:
        """Empty where the metadata are damaged, as the version is then."""
        return str(self.headers["Name"] or "")

    @property
    def version(self) -> str:
        return str(self.headers["Version"] or "")

    @cached_property
    def entry_points(self) -> tuple[metadata.EntryPoint, ...]:
        """All plugins it announces, for whichever API version.

        Raises:
            TypeError, ValueError: entry_points.txt is malformed.
        """
        return tuple(point for point in self._distribution.entry_points if api_version(point.group))

    @cached_property
    def record(self) -> str:
        """The text of RECORD, which lists the distribution's files with their hashes; empty if there is none."""
        return self._distribution.read_text("RECORD") or ""

    @property
    def record_sha256(self) -> str | None:
        return hashlib.sha256(self.record.encode()).hexdigest() if self.record else None

    @property
    def files(self) -> Iterator[tuple[str, str]]:
        """Name and recorded hash of each file; the hash is empty for RECORD itself and for bytecode."""
        for name, recorded, *_ in csv.reader(self.record.splitlines()):
            yield name, recorded

    @cached_property
    def _direct_url(self) -> dict[str, Any]:
        return dict(json.loads(self._distribution.read_text("direct_url.json") or "{}"))

    @property
    def editable(self) -> bool:
        """Whether it runs from the folder it is being written in (``pip install --editable``)."""
        return bool(self._direct_url.get("dir_info", {}).get("editable", False))

    @property
    def source(self) -> str:
        """The URL it was installed from; empty for a package index."""
        return str(self._direct_url.get("url", ""))

    @cached_property
    def changed_file(self) -> str:
        """The first file of code that is not as RECORD says, or that takes the place of one; or empty."""
        recorded_files = dict(self.files)  # not distribution.files, which may leave out files that are gone
        for name, recorded in recorded_files.items():
            path = self._locate(name)
            if path.suffix in CODE and recorded and not _matches(path, recorded):
                return name
            shadow = f"{name.removesuffix('.py')}/__init__.py"  # a package is imported before a module of its name
            if path.suffix == ".py" and shadow not in recorded_files and self._locate(shadow).exists():
                return shadow
        return ""

    def _locate(self, name: str) -> Path:
        return Path(str(self._distribution.locate_file(name)))

    @cached_property
    def unmet_requirement(self) -> str:
        """What it requires of medvid's version, if the installed one does not meet that; else empty."""
        for text in self.headers.get_all("Requires-Dist", []):
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if canonicalize_name(requirement.name) == BUILTIN and applies:
                ours = _our_version()
                if ours and not version_fits(ours, str(requirement.specifier)):
                    return f"medvid {requirement.specifier}, this is {ours}"
        return ""


def find_installed(**criteria: Any) -> Iterator[Installed]:
    """Installed distributions that meet the criteria (``name``), by Python's own finder.

    Once another library has imported the backport `importlib_metadata`, `metadata.distributions` finds with that one,
    which raises where this one does not.
    """
    context = metadata.DistributionFinder.Context(**criteria)
    return map(Installed, metadata.MetadataPathFinder.find_distributions(context))


@cache
def version_behind(package: str) -> str:
    """The version of the distribution whose plugins are in a package; empty for medvid itself and unknown ones.

    Args:
        package: top-level.
    """
    for installed in plugin_distributions():
        with suppress(TypeError, ValueError):
            packages = {point.module.partition(".")[0] for point in installed.entry_points}
            if package in packages and canonicalize_name(installed.name) != BUILTIN:
                return installed.version
    return ""


def plugin_distributions() -> Iterator[Installed]:
    """The distributions that announce plugins, the first of each name as for an import."""
    names = set()
    for distribution in metadata.MetadataPathFinder.find_distributions():
        # Looking for the text first leaves alone what does not concern us, e.g. a malformed file of another tool.
        if f"[{ENTRY_POINT_GROUP}" in (distribution.read_text("entry_points.txt") or ""):
            installed = Installed(distribution)
            name = canonicalize_name(installed.name)
            if name and name not in names:
                names.add(name)
                yield installed


def version_fits(version: str, allowed: str) -> bool:
    """Whether a version is within a range such as ``>=1,<2``; an invalid version is in none."""
    try:
        return SpecifierSet(allowed).contains(version, prereleases=True)
    except InvalidVersion:
        return False


@cache
def _our_version() -> str:
    return next((ours.version for ours in find_installed(name=BUILTIN)), "")


def _matches(path: Path, recorded: str) -> bool:
    kind, _, expected = recorded.partition("=")
    try:
        digest = hashlib.new(kind, path.read_bytes()).digest()
    except (OSError, ValueError):  # it is gone, or its hash is of an unknown kind
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == expected
