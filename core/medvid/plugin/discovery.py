"""Which plugins are installed, and which of them may be imported. Reads metadata only: nothing is imported here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Literal

from packaging.utils import canonicalize_name

from medvid.errors import PluginError
from medvid.plugin.allowlist import AllowedPlugin, AllowList
from medvid.plugin.installed import BUILTIN, Installed, find_installed, plugin_distributions, version_fits
from medvid.plugin.markers import API_VERSION, api_version
from medvid.plugin.specs import ComponentSpec

NO_RECORD = "it has no RECORD file to verify it by; reinstall it with pip"

Status = Literal["builtin", "enabled", "disabled", "broken", "refused", "missing", "installed, not enabled"]


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A plugin and its status.

    Args:
        name: of its entry point; with the distribution its identity.
        distribution: the installed distribution that brings it.
        version: of the distribution.
        status: builtin and enabled plugins are loaded; refused ones are built for another API version, or are listed
            in plugins.toml and not what was listed; missing ones are listed and not installed.
        reason: why it is broken or refused, or which of its components clash.
        components: what it contributes; empty where it was not loaded.
        editable: enabled as it is being written: nothing verifies its files.
        entry_point: where its module is.
    """

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    components: tuple[ComponentSpec, ...] = ()
    editable: bool = False
    entry_point: EntryPoint | None = field(default=None, repr=False, compare=False)

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
    found = [status for installed in plugin_distributions() for status in _judge(installed, allow)]
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
        PluginError: it cannot be allowed: it is built for another API or medvid, its files are not those that were
            installed, or they cannot be verified.
    """
    installed = next(find_installed(name=plugin.distribution))
    digest = None if installed.editable else installed.record_sha256
    reason = _other_api(plugin.entry_point) if plugin.entry_point else plugin.reason
    if not installed.editable and digest is None:
        reason = NO_RECORD
    if not reason:
        entry = AllowedPlugin(
            distribution=plugin.distribution,
            version=f"=={plugin.version}",
            entry_point=plugin.name,
            record_sha256=digest,
            editable=installed.editable,
        )
        reason = _mismatch(installed, entry)
    if reason:
        raise PluginError(f"{plugin.label} cannot be allowed: {reason}")
    return entry


def _judge(installed: Installed, allow: AllowList) -> Iterator[PluginStatus]:
    name, version = installed.name, installed.version
    try:
        points = installed.entry_points
    except (TypeError, ValueError):
        yield PluginStatus(name, name, version, "broken", "its entry_points.txt cannot be read")
        return
    ours = {point.name: point for point in points if not _other_api(point)}
    for point in points:
        if point is ours.get(point.name):
            status, reason = _status(installed, point.name, allow)
            entry = allow.find(name, point.name)
            editable = status == "enabled" and entry is not None and entry.editable
            yield PluginStatus(point.name, name, version, status, reason, editable=editable, entry_point=point)
        elif point.name not in ours:
            yield PluginStatus(point.name, name, version, "refused", _other_api(point), entry_point=point)


def _other_api(point: EntryPoint) -> str:
    """Why a plugin that is built for another API version cannot be used; empty if it is built for ours."""
    version = api_version(point.group)
    if version == API_VERSION:
        return ""
    return (
        f"it is built for version {version} of the plugin API, this medvid has version {API_VERSION}; "
        f"install a release of either that fits the other"
    )


def _status(installed: Installed, entry_point: str, allow: AllowList) -> tuple[Status, str]:
    if canonicalize_name(installed.name) == BUILTIN:
        return ("disabled", f"by {allow.path}") if entry_point in allow.disabled else ("builtin", "")
    entry = allow.find(installed.name, entry_point)
    if entry is None:
        return "installed, not enabled", ""
    reason = _mismatch(installed, entry)
    return ("refused", reason) if reason else ("enabled", "")


def _mismatch(installed: Installed, entry: AllowedPlugin) -> str:
    """Why the installed distribution is not the one that was allowed, and the way out; empty if it is."""
    allow = f"to allow it as it is: platform plugins add {installed.name}"
    if not version_fits(installed.version, entry.version):
        return f"version {installed.version} is installed, but {entry.version} is allowed; {allow}"
    if unmet := installed.unmet_requirement:
        return f"it requires {unmet}; install a release of either that fits the other"
    if entry.editable:
        return "" if installed.editable else f"it was allowed as editable, but is installed from a package; {allow}"
    if installed.record_sha256 not in (None, entry.record_sha256):
        return f"the installed files differ from the allowed ones, the hash of RECORD differs; {allow}"
    return _unverifiable(installed)


def _unverifiable(installed: Installed) -> str:
    """Why its files cannot be verified as the installed ones; empty if they can."""
    if not installed.record:
        return NO_RECORD
    changed = installed.changed_file
    return f"{changed} is not as it was installed; reinstall {installed.name}" if changed else ""
