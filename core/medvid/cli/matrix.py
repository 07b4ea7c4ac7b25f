"""`platform matrix`."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import aligned, plugins_file

if TYPE_CHECKING:
    from medvid.config.matrix import Cell


def matrix(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """Show which backbone trains with which head, what it predicts where, on which axes, how, and if not why."""
    from medvid.config.matrix import matrix as all_cells
    from medvid.plugin.host import make_host

    cells = list(all_cells(make_host(plugins_file(context))))
    typer.echo(_as_json(cells) if as_json else "\n".join(_lines(cells)))


def _lines(cells: Sequence["Cell"]) -> Iterator[str]:
    """A row for each backbone, head and target, then the reasons, each once."""
    reasons = Counter(cell.problem for cell in cells if not cell.trains)
    numbers = {reason: number for number, reason in enumerate(reasons, start=1)}
    axes = list(dict.fromkeys(cell.axes for cell in cells))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for cell in cells:
        text = cell.manner or f"no ({numbers[cell.problem]})"
        rows.setdefault((cell.backbone.name, cell.head.name, cell.head.where, cell.what), {})[cell.axes] = text
    lines = ([*names, *(texts.get(one, "-") for one in axes)] for names, texts in rows.items())
    table = [["backbone", "head", "where", "what", *axes], *lines]
    yield from aligned(table)
    yield ""
    yield f"{sum(cell.trains for cell in cells)} of {len(cells)} train"
    yield from (f"({number}) {reason}" for reason, number in numbers.items())


def _as_json(cells: Sequence["Cell"]) -> str:
    content = [
        {
            "backbone": cell.backbone.name,
            "head": cell.head.name,
            "axes": cell.axes,
            "where": cell.head.where,
            "what": cell.what,
            "trains": cell.trains,
            "manner": cell.manner,
            "problem": cell.problem,
            "input_size": list(cell.input_info.size) if cell.input_info else None,
            "backbone_options": dict(cell.example.options) if cell.example else None,
        }
        for cell in cells
    ]
    return json.dumps(content, indent=2)
