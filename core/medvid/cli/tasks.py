"""`platform tasks`: the recipes that come with medvid."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import aligned
from medvid.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def tasks(context: typer.Context) -> None:
    """List the recipes that come with medvid: what each needs, and which figures were published for it."""
    if context.invoked_subcommand is None:
        typer.echo("\n".join(_lines()))


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="Name of a recipe.")],
    to: Annotated[Path, typer.Option(metavar="PATH", help="File or folder to write to; default: here.")] = Path(),
) -> None:
    """Copy a recipe's task file, to change it. An existing file is not overwritten."""
    from medvid.config.recipes import find_recipe
    from medvid.files import make_folder, write_text

    recipe = find_recipe(name)
    path = to / recipe.name if to.is_dir() else to
    if path.exists():
        raise ConfigError(f"{path} exists and is not overwritten", hint="give another file: --to FILE")
    make_folder(path.parent)
    write_text(path, recipe.read_text(encoding="utf-8"))
    typer.echo(f"written to {path}; run it with: platform run {path}")


def _lines() -> Iterator[str]:
    from medvid.config.recipes import recipes

    known = list(recipes())
    head = ("task", "data set", "demo", "published figures, not ours")
    rows = [(it.name, it.dataset, "yes" if it.has_demo else "no", it.published or "none") for it in known]
    yield from aligned([head, *rows])
    yield ""
    needs = dict.fromkeys((it.dataset, it.variable, it.folder, it.data) for it in known)
    yield from aligned([("data set", "folder in", "else in", "where it comes from"), *needs])
    yield ""
    yield "platform run TASK runs one, on its generated demo without data or with --demo;"
    yield "platform tasks copy TASK writes its file here, to be changed."
