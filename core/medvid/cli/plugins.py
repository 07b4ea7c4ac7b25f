"""`platform plugins`: list and show; the other subcommands have modules of their own."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli import plugins_allow, plugins_check, plugins_new
from medvid.cli.common import plugins_file
from medvid.errors import ConfigError

if TYPE_CHECKING:
    from medvid.plugin.host import Host

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
    _print_table(list(_rows(host)))
    notes = [f"only builtin plugins are loaded: {host.allow_list.problem}"] if host.allow_list.problem else []
    notes += [f"{plugin.label}: {plugin.reason}" for plugin in host.plugins if plugin.active and plugin.reason]
    notes += [why_absent(plugin) for plugin in host.plugins if not plugin.active]
    typer.echo("".join(f"\n{note}" for note in notes), nl=bool(notes))


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a component, a plugin or a distribution.")],
) -> None:
    """Show everything about a component or a plugin: its origin, publication and options."""
    from medvid.cli.describe import describe_component, describe_plugin
    from medvid.plugin.host import make_host

    host = make_host(plugins_file(context))
    named = [spec for plugin in host.plugins for spec in plugin.components if spec.name == name]
    owners = [plugin for plugin in host.plugins if name in (plugin.name, plugin.distribution)]
    if not named and not owners:
        raise ConfigError(f"there is no component, plugin or distribution {name!r}", hint="see: platform plugins list")
    texts = [describe_component(host, spec) for spec in named] or [describe_plugin(plugin) for plugin in owners]
    typer.echo("\n\n".join(texts))


def _rows(host: "Host") -> Iterator[tuple[str, ...]]:
    yield "name", "kind", "distribution", "version", "status", "summary"
    for plugin in host.plugins:
        status = f"{plugin.status} (editable)" if plugin.editable else plugin.status
        origin = plugin.distribution, plugin.version, status
        for spec in plugin.components:
            yield spec.name, spec.kind, *origin, spec.summary
        if not plugin.components:
            yield plugin.name, "observer" if plugin.active else "?", *origin, ""


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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
