"""`platform cache`: show and prune."""

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from medvid.data.cache_folder import DAY, Entry, entries, in_use
from medvid.data.cache_folder import prune as prune_folder
from medvid.errors import ConfigError
from medvid.files import default_cache

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Folder = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="The cache's folder; default: the one of tasks without dataset.cache."),
]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AGES = ((1.0, "a day"), (7.0, "a week"), (30.0, "30 days"), (365.0, "a year"))


@app.callback(invoke_without_command=True)
def cache(context: typer.Context, folder: Folder = None) -> None:
    """Show the cache of prepared cases: where it is, how large, and when it was used last."""
    if context.invoked_subcommand is None:
        show(_resolve(folder))


@app.command()
def prune(
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Delete cases that were not used for this many days.", min=0)
    ] = None,
    to_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Delete until no more is left, e.g. 500M or 20G; oldest first.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    folder: Folder = None,
) -> None:
    """Delete prepared cases, except those that a run is using or building. A run prepares missing ones again."""
    if everything == (older_than is not None or to_size is not None):
        raise ConfigError(
            "give limits or --all, not both",
            hint="platform cache prune --older-than 30, --to-size 20G (or both), or --all",
        )
    path = _resolve(folder)
    deleted = prune_folder(
        path,
        older_than=None if older_than is None else older_than * DAY,
        to_size=None if to_size is None else _bytes(to_size),
        dry_run=dry_run,
    )
    typer.echo(f"{'would be deleted' if dry_run else 'deleted'}: {_summary(deleted)}")
    left = entries(path)
    if dry_run:
        gone = {entry.path for entry in deleted}
        left = [entry for entry in left if entry.path not in gone]
    typer.echo(f"left in {path}: {_summary(left)}")


def show(folder: Path) -> None:
    """Print what is in a cache."""
    found, now = entries(folder), time.time()
    typer.echo(f"{folder}: {_summary(found)}")
    since = 0.0
    for days, name in _AGES:
        group = [entry for entry in found if since <= (now - entry.used) / DAY < days]
        since = days
        if group:
            typer.echo(f"  last used within {name}: {_summary(group)}")
    if old := [entry for entry in found if (now - entry.used) / DAY >= since]:
        typer.echo(f"  not used for {_AGES[-1][1]}: {_summary(old)}")
    if used := in_use(folder):
        typer.echo(f"  in use now: {_summary([entry for entry in found if entry.path.name in used])}")
    demos = [path for path in (folder / "demos").glob("*") if path.is_dir() and not path.name.startswith(".")]
    if demos:
        size = sum(file.stat().st_size for path in demos for file in path.rglob("*") if file.is_file())
        typer.echo(f"{folder / 'demos'}: {len(demos)} generated data sets, {_size(size)}; not pruned")


def _resolve(folder: Path | None) -> Path:
    return (folder or default_cache()).expanduser()


def _summary(found: list[Entry]) -> str:
    cases = "1 prepared case" if len(found) == 1 else f"{len(found)} prepared cases"
    return f"{cases}, {_size(sum(entry.size for entry in found))}"


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(f"--to-size {text} is not a size", hint="give a number with a unit, e.g. 500M or 20G")
    return int(float(match[1]) * _UNITS[match[2].upper()])
