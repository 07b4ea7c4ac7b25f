"""`platform plugins add`, `remove` and `lock`: the commands that write plugins.toml."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import plugins_file
from medvid.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from medvid.plugin.allowlist import AllowedPlugin
    from medvid.plugin.discovery import PluginStatus

SHOWN = 12
"""Digits of a hash to show."""


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a distribution, or of a plugin that only one contains.")],
) -> None:
    """Allow the plugins of an installed distribution to be loaded, by an entry in plugins.toml."""
    from medvid.cli.plugins_trust import describe_trust
    from medvid.plugin.allowlist import AllowList, read_for_writing, write_allow_list
    from medvid.plugin.discovery import discover, pin
    from medvid.plugin.host import make_host, why_absent

    path, allow = read_for_writing(plugins_file(context))
    pins = [pin(plugin) for plugin in _named(discover(AllowList()), name)]
    keys = {entry.key for entry in pins}
    typer.echo(describe_trust(pins))
    write_allow_list(path, [entry for entry in allow.plugins if entry.key not in keys] + pins, allow.disabled)
    typer.echo(f"{path}: {', '.join(entry.entry_point for entry in pins)} allowed")

    added = [plugin for plugin in make_host(path).plugins if (plugin.distribution, plugin.name) in _names(pins)]
    for plugin in added:
        parts = ", ".join(f"{spec.kind} {spec.name}" for spec in plugin.components) or "observes runs"
        typer.echo(f"{plugin.name}: {parts if plugin.active else plugin.status}")
    if faults := [plugin.reason if plugin.active else why_absent(plugin) for plugin in added if plugin.reason]:
        raise PluginError(
            f"{pins[0].distribution} is allowed, but cannot be used: {'; '.join(faults)}",
            hint=f"fix it, or remove it again: platform plugins remove {pins[0].distribution}",
        )


def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a distribution, or of a plugin that only one contains.")],
) -> None:
    """Remove the plugins of a distribution from plugins.toml; it stays installed."""
    from packaging.utils import canonicalize_name

    from medvid.plugin.allowlist import read_for_writing, write_allow_list

    path, allow = read_for_writing(plugins_file(context))
    listed = allow.plugins
    removed = [entry for entry in listed if entry.key[0] == canonicalize_name(name)]
    removed = removed or [entry for entry in listed if entry.entry_point == name]
    _only_one([entry.distribution for entry in removed], name, "allowed", [entry.distribution for entry in listed])
    write_allow_list(path, [entry for entry in listed if entry not in removed], allow.disabled)
    for entry in removed:
        typer.echo(f"{path}: plugin {entry.entry_point} of {entry.distribution} is no longer allowed")


def lock(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 3 if plugins.toml differs from the installation.")
    ] = False,
) -> None:
    """Pin all plugins in plugins.toml to the installed versions again, and show what changes."""
    from medvid.plugin.allowlist import AllowList, read_for_writing, write_allow_list
    from medvid.plugin.discovery import discover

    path, allow = read_for_writing(plugins_file(context))
    installed = {_key(plugin): plugin for plugin in discover(AllowList())}
    entries, faults = [], []
    for entry in allow.plugins:
        try:
            entries.append(_pin_again(entry, installed.get(entry.key)))
        except PluginError as error:
            faults.append(str(error))
    if faults:
        raise PluginError(f"{path} cannot be locked: {'; '.join(faults)}", hint="reinstall them, or remove them")
    changed = [(old, new) for old, new in zip(allow.plugins, entries, strict=True) if old != new]
    for old, new in changed:
        changes = ", ".join(_changes(old, new))
        typer.echo(f"{new.entry_point} of {new.distribution}: {changes}")
    if check and changed:
        raise PluginError(
            f"{path} differs from the installation: {len(changed)} of {len(entries)} plugins",
            hint="reinstall the locked versions, or lock the installed ones: platform plugins lock",
        )
    if changed:
        write_allow_list(path, entries, allow.disabled)
    typer.echo(f"{path}: {len(entries)} plugins, {len(changed)} pinned again")


def _named(plugins: Sequence["PluginStatus"], name: str) -> list["PluginStatus"]:
    """The installed plugins that a name means, of one distribution."""
    from packaging.utils import canonicalize_name

    from medvid.plugin.installed import BUILTIN

    others = [plugin for plugin in plugins if plugin.distribution != BUILTIN]
    found = [plugin for plugin in others if _key(plugin)[0] == canonicalize_name(name)]
    found = found or [plugin for plugin in others if plugin.name == name]
    known = [plugin.distribution for plugin in others]
    _only_one([plugin.distribution for plugin in found], name, "installed with plugins of its own", known)
    return found


def _only_one(found: Iterable[str], name: str, what: str, known: Iterable[str]) -> None:
    """Refuse a name that means no distribution, or several."""
    distributions = sorted(set(found))
    if not distributions:
        names = ", ".join(sorted(set(known))) or "none"
        raise ConfigError(f"no distribution or plugin named {name!r} is {what}", hint=f"there are: {names}")
    if len(distributions) > 1:
        raise ConfigError(f"several distributions contain {name!r}", hint=f"name one: {', '.join(distributions)}")


def _key(plugin: "PluginStatus") -> tuple[str, str]:
    from packaging.utils import canonicalize_name

    return canonicalize_name(plugin.distribution), plugin.name


def _names(entries: Iterable["AllowedPlugin"]) -> set[tuple[str, str]]:
    return {(entry.distribution, entry.entry_point) for entry in entries}


def _pin_again(entry: "AllowedPlugin", plugin: "PluginStatus | None") -> "AllowedPlugin":
    """The entry for what is installed; a range of versions stays where the installed one is in it."""
    from medvid.plugin.discovery import pin
    from medvid.plugin.installed import version_fits

    if plugin is None:
        raise PluginError(f"plugin {entry.entry_point} of {entry.distribution} is not installed")
    new = pin(plugin)
    return new.model_copy(update={"version": entry.version}) if version_fits(plugin.version, entry.version) else new


def _changes(old: "AllowedPlugin", new: "AllowedPlugin") -> Iterator[str]:
    if old.version != new.version:
        yield f"version {old.version} -> {new.version}"
    if (old.record_sha256, old.editable) != (new.record_sha256, new.editable):
        yield f"{_held(old)} -> {_held(new)}"


def _held(entry: "AllowedPlugin") -> str:
    return f"RECORD sha256 {entry.record_sha256[:SHOWN]}" if entry.record_sha256 else "editable"
