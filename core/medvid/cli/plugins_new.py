"""`platform plugins new`: writes a distribution with a small plugin that works, for its author to change."""

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from medvid.cli.common import plugins_file
from medvid.errors import ConfigError
from medvid.files import make_folder, write_text
from medvid.plugin.kinds import KINDS

SCAFFOLD = files("medvid.cli") / "scaffold"
"""What is copied: for all plugins, for all components, and for each kind, which also has a `summary`."""
SUFFIX = ".template"
"""Suffix of the scaffold's files, so that linters leave them alone."""


LISTENER = "listener"
"""Not a kind of component: a plugin that listens to runs."""
CHOICES = (*KINDS, LISTENER)
USE = """
Then train it on generated data, and hold it to medvid's contract:

    platform run task.yaml --demo
    platform plugins check {distribution}
"""


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the distribution, e.g. medvid-wavelet.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"What it contributes: {', '.join(CHOICES)}.")] = "backbone",
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where to make the folder NAME; default: here.")
    ] = Path(),
) -> None:
    """Write a new plugin: its own distribution with working code, a test and, for components, a task."""
    if kind not in CHOICES:
        raise ConfigError(f"there is no kind {kind!r}", hint=f"the kinds are {', '.join(CHOICES)}")
    names = _names(name)
    target = folder / names["distribution"]
    if target.exists():
        raise ConfigError(f"{target} exists already", hint="choose another name, or another folder: -o DIR")
    _refuse_known(context, kind, names["component"])
    values = names | _facts(kind, names["distribution"])
    for part in ("common", kind) if kind == LISTENER else ("common", "component", kind):
        for place, text in _read(SCAFFOLD / part):
            path = target / place.replace("/module/", f"/{names['module']}/")
            make_folder(path.parent)
            write_text(path, Template(text).substitute(values))
            typer.echo(path)
    typer.echo(f"\nnext: cd {target}, and see README.md")


def _names(name: str) -> dict[str, str]:
    """Names of the distribution, its package, its component and its class.

    Raises:
        ConfigError: it is not a valid distribution name, or does not give valid Python names.
    """
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise ConfigError(
            f"{name!r} is not a valid distribution name", hint="use letters, digits and hyphens: medvid-wavelet"
        )
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    module = distribution.replace("-", "_")
    component = module.removeprefix("medvid_")
    for word in (module, component):
        if not word.isidentifier() or keyword.iskeyword(word):
            raise ConfigError(
                f"{name!r} gives the Python name {word!r}, which is not valid", hint="e.g. medvid-wavelet"
            )
    if module in sys.stdlib_module_names or find_spec(module):
        raise ConfigError(f"{name!r} would hide the existing package {module!r}", hint="choose another name")
    class_name = "".join(part.capitalize() for part in component.split("_"))
    return {"distribution": distribution, "module": module, "component": component, "class_name": class_name}


def _refuse_known(context: typer.Context, kind: str, component: str) -> None:
    """Refuse a component that a plugin contributes already: the two could not be enabled together."""
    from medvid.plugin.host import make_host

    host = make_host(plugins_file(context))
    for plugin in host.plugins:
        if any((spec.kind, spec.name) == (kind, component) for spec in plugin.components):
            raise ConfigError(
                f"{plugin.label} already contributes the {kind} {component!r}", hint="choose another name"
            )


def _facts(kind: str, distribution: str) -> dict[str, str]:
    from importlib.metadata import version

    from medvid.plugin.markers import API_VERSION, ENTRY_POINT_GROUP

    return {
        "summary": (SCAFFOLD / kind / "summary").read_text(encoding="utf-8").strip(),
        "use": USE.format(distribution=distribution) if (SCAFFOLD / kind / f"task.yaml{SUFFIX}").is_file() else "",
        "medvid": version("medvid"),
        "group": ENTRY_POINT_GROUP,
        "api": str(API_VERSION),
    }


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of each file of a part of the scaffold."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield prefix + entry.name.removesuffix(SUFFIX), entry.read_text(encoding="utf-8")
