"""Which plugins are installed, and which of them may be imported. Reads metadata only: nothing is imported here."""

import base64
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from medvid.errors import PluginError
from medvid.plugin.allowlist import AllowedPlugin, AllowList
from medvid.plugin.markers import ENTRY_POINT_GROUP
from medvid.plugin.specs import ComponentSpec

BUILTIN = "medvid"
"""The distribution whose plugins need no listing."""

CODE = {".py", ".pyd", ".so"}
"""What Python imports; other files of a distribution are not verified."""

NO_RECORD = "it has no RECORD file to verify it by; reinstall it with pip"

Status = Literal["builtin", "enabled", "disabled", "broken", "refused", "missing", "installed, not enabled"]


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A plugin and what became of it.

    Args:
        name: of its entry point; with the distribution its identity.
        distribution: the installed distribution that brings it.
        version: of the distribution.
        status: builtin and enabled plugins are loaded; refused ones are listed in plugins.toml, but are not what was
            listed; missing ones are listed and not installed.
        reason: why it is broken or refused, or which of its components clash.
        components: what it contributes; empty where it was not loaded.
        entry_point: where its module is.
    """

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    components: tuple[ComponentSpec, ...] = ()
    entry_point: metadata.EntryPoint | None = field(default=None, repr=False, compare=False)

    @property
    def active(self) -> bool:
        """Whether it is loaded and in use."""
        return self.status in ("builtin", "enabled")

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"plugin {self.name} of {self.distribution} {self.version}".rstrip()


def discover(allow: AllowList) -> tuple[PluginStatus, ...]:
    """All plugins that are installed or listed: medvid's own first, then by distribution and name."""
    found = [status for distribution in _distributions() for status in _judge(distribution, allow)]
    known = {(canonicalize_name(status.distribution), status.name) for status in found}
    found += [
        PluginStatus(entry.entry_point, entry.distribution, "", "missing", f"{allow.path} lists it: not installed")
        for entry in allow.plugins
        if entry.key not in known
    ]
    return tuple(sorted(found, key=lambda status: (status.distribution != BUILTIN, status.distribution, status.name)))


def pin(plugin: PluginStatus) -> AllowedPlugin:
    """The entry of the allow-list that allows a plugin as it is installed now.

    Raises:
        PluginError: its files are not those that were installed, or cannot be verified.
    """
    distribution = next(_find(name=plugin.distribution))
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    digest = None if editable else _record_digest(distribution)
    if not editable and digest is None:
        raise PluginError(f"{plugin.label} cannot be allowed: {NO_RECORD}")
    entry = AllowedPlugin(
        distribution=plugin.distribution,
        version=f"=={plugin.version}",
        entry_point=plugin.name,
        record_sha256=digest,
        editable=editable,
    )
    if reason := _mismatch(distribution, entry):
        raise PluginError(f"{plugin.label} cannot be allowed: {reason}")
    return entry


def _find(**criteria: Any) -> Iterator[metadata.Distribution]:
    """Installed distributions that meet the criteria (``name``), by Python's own finder.

    Once another library has imported the backport `importlib_metadata`, `metadata.distributions` finds with that one,
    which raises where this one does not.
    """
    return iter(metadata.MetadataPathFinder.find_distributions(metadata.DistributionFinder.Context(**criteria)))


def _distributions() -> Iterator[metadata.Distribution]:
    """The distributions with entry points of the group, the first of each name as for an import."""
    names = set()
    for distribution in _find():
        # Looking for the text first leaves alone what does not concern us, e.g. a malformed file of another tool.
        if f"[{ENTRY_POINT_GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
            name = distribution.metadata["Name"]
            if name and canonicalize_name(name) not in names:
                names.add(canonicalize_name(name))
                yield distribution


def _judge(distribution: metadata.Distribution, allow: AllowList) -> Iterator[PluginStatus]:
    name, version = distribution.name, distribution.version or ""  # a damaged METADATA has none
    try:
        entry_points = distribution.entry_points.select(group=ENTRY_POINT_GROUP)
    except (TypeError, ValueError):
        yield PluginStatus(name, name, version, "broken", "its entry_points.txt cannot be read")
        return
    for entry_point in entry_points:
        status, reason = _status(distribution, entry_point.name, allow)
        yield PluginStatus(entry_point.name, name, version, status, reason, entry_point=entry_point)


def _status(distribution: metadata.Distribution, entry_point: str, allow: AllowList) -> tuple[Status, str]:
    if canonicalize_name(distribution.name) == BUILTIN:
        return ("disabled", f"by {allow.path}") if entry_point in allow.disabled else ("builtin", "")
    entry = allow.find(distribution.name, entry_point)
    if entry is None:
        return "installed, not enabled", ""
    reason = _mismatch(distribution, entry)
    return ("refused", reason) if reason else ("enabled", "")


def _mismatch(distribution: metadata.Distribution, entry: AllowedPlugin) -> str:
    """Why the installed distribution is not the one that was allowed, and the way out; empty if it is."""
    allow = f"to allow it as it is: platform plugins add {distribution.name}"
    if not _version_fits(distribution.version, entry.version):
        return f"version {distribution.version} is installed, but {entry.version} is allowed; {allow}"
    if entry.editable:
        return ""
    digest = _record_digest(distribution)
    if digest is None:
        return NO_RECORD
    if digest != entry.record_sha256:
        return f"the installed files are not those that were allowed, the hash of RECORD differs; {allow}"
    if changed := _changed_file(distribution):
        return f"{changed} is not as it was installed; reinstall {distribution.name}"
    return ""


def _version_fits(version: str, allowed: str) -> bool:
    try:
        return SpecifierSet(allowed).contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _record_digest(distribution: metadata.Distribution) -> str | None:
    """The sha256 of the installed RECORD file, which holds the hashes of the distribution's files."""
    record = distribution.read_text("RECORD")
    return hashlib.sha256(record.encode()).hexdigest() if record else None


def _changed_file(distribution: metadata.Distribution) -> str:
    """The first file of code that is not as RECORD says; `distribution.files` may leave out files that are gone."""
    for name, recorded, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        path = Path(str(distribution.locate_file(name)))
        if path.suffix in CODE and recorded and not _matches(path, recorded):
            return name
    return ""


def _matches(path: Path, recorded: str) -> bool:
    kind, _, expected = recorded.partition("=")
    try:
        digest = hashlib.new(kind, path.read_bytes()).digest()
    except (OSError, ValueError):  # it is gone, or its hash is of an unknown kind
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == expected
