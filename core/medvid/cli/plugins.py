"""`platform plugins`: list and show; the other subcommands have modules of their own."""

import json
from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli import plugins_allow, plugins_check, plugins_new
from medvid.cli.common import plugins_file
from medvid.errors import ConfigError

if TYPE_CHECKING:
    from medvid.plugin.discovery import PluginStatus
    from medvid.plugin.host import Host

WIDTH = 100
"""Columns of the list."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def plugins() -> None:
    """List, show, enable and write plugins."""


app.command()(plugins_allow.add)
app.command()(plugins_allow.remove)
app.command()(plugins_allow.lock)
app.command()(plugins_new.new)
app.command()(plugins_check.check)


@app.command("list")
def list_plugins(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """List all installed plugins, what they contribute, and why some are not in use."""
    from medvid.plugin.host import make_host, why_absent

    host = make_host(plugins_file(context))
    if as_json:
        typer.echo(_as_json(host))
        return
    typer.echo("\n".join(_table(host)))
    notes = [f"only builtin plugins are loaded: {host.allow_list.problem}"] if host.allow_list.problem else []
    notes += [f"{plugin.label}: {plugin.reason}" for plugin in host.plugins if plugin.active and plugin.reason]
    notes += [why_absent(plugin) for plugin in host.plugins if not plugin.active]
    typer.echo("".join(f"\n{note}" for note in notes), nl=bool(notes))


@app.command()
def show(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] NAME", help="Name of a component, with its kind or without; of a plugin or distribution."
        ),
    ],
) -> None:
    """Show everything about a component or a plugin: its origin, publication and options."""
    from medvid.cli.describe import describe_component, describe_plugin
    from medvid.plugin.host import make_host

    host, (kind, name) = make_host(plugins_file(context)), _kind_and_name(words)
    specs = [spec for plugin in host.plugins for spec in plugin.components if spec.name == name]
    named = [spec for spec in specs if kind in ("", spec.kind)]
    owners = [plugin for plugin in host.plugins if not kind and name in (plugin.name, plugin.distribution)]
    if not named and not owners:
        what = kind or "component, plugin or distribution"
        raise ConfigError(f"there is no {what} {name!r}", hint="see: platform plugins list")
    texts = [describe_component(host, spec) for spec in named] or [describe_plugin(plugin) for plugin in owners]
    typer.echo("\n\n".join(texts))


def _kind_and_name(words: Sequence[str]) -> tuple[str, str]:
    """The kind, empty where none is given, and the name."""
    from medvid.plugin.kinds import KINDS

    *kind, name = words
    if len(kind) > 1 or not set(kind) <= set(KINDS):
        raise ConfigError(f"{' '.join(words)!r} is not [KIND] NAME", hint=f"the kinds are {', '.join(KINDS)}")
    return "".join(kind), name


def _table(host: "Host") -> Iterator[str]:
    """The components by kind, then the listeners; without a named origin they are built in."""
    from medvid.plugin.installed import BUILTIN
    from medvid.plugin.kinds import KINDS

    active = [plugin for plugin in host.plugins if plugin.active]
    found = [(spec.kind, spec.name, spec.summary, _origin(plugin)) for plugin in active for spec in plugin.components]
    found += [("listener", plugin.name, "", _origin(plugin)) for plugin in active if not plugin.components]
    width = max(len(name) for _, name, *_ in found)
    builtin = next((plugin.version for plugin in active if plugin.distribution == BUILTIN), "")
    yield f"built into medvid {builtin}, unless another origin is named"
    for kind in (*KINDS, "listener"):
        rows = sorted(row for row in found if row[0] == kind)
        yield from [f"\n{kind}"] if rows else []
        for _, name, summary, origin in rows:
            room = WIDTH - width - 4 - (len(origin) + 2 if origin else 0)
            yield f"  {name:<{width}}  {shorten(summary, room, placeholder='...')}  {origin}".rstrip()


def _origin(plugin: "PluginStatus") -> str:
    if plugin.status == "builtin":
        return ""
    return f"[{plugin.distribution} {plugin.version}{', editable' if plugin.editable else ''}]"


def _as_json(host: "Host") -> str:
    plugins = [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": plugin.status,
            "reason": plugin.reason,
            "editable": plugin.editable,
            "components": [
                {"kind": spec.kind, "name": spec.name, "summary": spec.summary} for spec in plugin.components
            ],
        }
        for plugin in host.plugins
    ]
    path = host.allow_list.path
    content = {"allow_list": str(path) if path else None, "problem": host.allow_list.problem, "plugins": plugins}
    return json.dumps(content, indent=2)
