"""`platform plugins new`: writes a distribution with a small plugin that works, for its author to change."""

import keyword
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
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

SUFFIX = ".template"
"""What files of the scaffold are called beyond their names, for linters to leave them alone."""


class PluginKind(StrEnum):
    """What a new plugin contributes."""

    BACKBONE = "backbone"
    HEAD = "head"
    DATASET = "dataset"
    LISTENER = "listener"


SUMMARIES = {
    PluginKind.BACKBONE: "A small convolutional backbone for images",
    PluginKind.HEAD: "A segmentation head that adds up all feature maps",
    PluginKind.DATASET: "A data set of images with masks",
    PluginKind.LISTENER: "A listener that sums up finished runs",
}
USE = """
Then train it on generated data, and hold it to medvid's contract:

    platform run task.yaml --sample
    platform plugins check {distribution}
"""


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the distribution, e.g. medvid-wavelet.")],
    kind: Annotated[PluginKind, typer.Option(help="What it contributes.")] = PluginKind.BACKBONE,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where to make the folder NAME; default: here.")
    ] = Path(),
) -> None:
    """Write a new plugin: a distribution of its own with code that works, a test and, for components, a task."""
    names = _names(name)
    target = folder / names["distribution"]
    if target.exists():
        raise ConfigError(f"{target} exists already", hint="choose another name, or another folder: -o DIR")
    _refuse_known(context, kind, names["component"])
    values = names | _facts(kind, names["distribution"])
    parts = ("common", "component", kind.value) if kind is not PluginKind.LISTENER else ("common", kind.value)
    for part in parts:
        for place, text in _read(files("medvid.cli") / "scaffold" / part):
            path = target / place.replace("/module/", f"/{names['module']}/")
            make_folder(path.parent)
            write_text(path, Template(text).substitute(values))
            typer.echo(path)
    typer.echo(f"\nnext: cd {target}, and see README.md")


def _names(name: str) -> dict[str, str]:
    """How the distribution, its package, its component and its class are called.

    Raises:
        ConfigError: it is no name of a distribution, or nothing importable can be called so.
    """
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise ConfigError(f"{name!r} is no name of a distribution", hint="letters, digits and hyphens: medvid-wavelet")
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    module = distribution.replace("-", "_")
    component = module.removeprefix("medvid_")
    for word in (module, component):
        if not word.isidentifier() or keyword.iskeyword(word):
            raise ConfigError(
                f"{name!r} makes {word!r} a name in Python, which it cannot be", hint="e.g. medvid-wavelet"
            )
    if module in sys.stdlib_module_names or find_spec(module):
        raise ConfigError(
            f"there is a package {module!r} already, which {name!r} would hide", hint="choose another name"
        )
    class_name = "".join(part.capitalize() for part in component.split("_"))
    return {"distribution": distribution, "module": module, "component": component, "class_name": class_name}


def _refuse_known(context: typer.Context, kind: PluginKind, component: str) -> None:
    """Refuse a component that a plugin contributes already: the two could not be enabled together."""
    from medvid.plugin.host import make_host

    host = make_host(plugins_file(context))
    for plugin in host.plugins:
        if any((spec.kind, spec.name) == (kind.value, component) for spec in plugin.components):
            raise ConfigError(f"{plugin.label} contributes a {kind} {component!r}", hint="choose another name")


def _facts(kind: PluginKind, distribution: str) -> dict[str, str]:
    from importlib.metadata import version

    from medvid.plugin.markers import API_VERSION, ENTRY_POINT_GROUP

    return {
        "summary": SUMMARIES[kind],
        "use": "" if kind is PluginKind.LISTENER else USE.format(distribution=distribution),
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
