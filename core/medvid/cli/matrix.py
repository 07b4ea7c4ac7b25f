"""`platform matrix`."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import plugins_file

if TYPE_CHECKING:
    from medvid.config.matrix import Cell


def matrix(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """Show which backbone trains with which head on images, volumes and videos, how, and if not why."""
    from medvid.config.matrix import matrix as all_cells
    from medvid.plugin.host import make_host

    cells = list(all_cells(make_host(plugins_file(context))))
    typer.echo(_as_json(cells) if as_json else "\n".join(_lines(cells)))


def _lines(cells: Sequence["Cell"]) -> Iterator[str]:
    """A row for each backbone and head, then the reasons, each once."""
    reasons = Counter(cell.problem for cell in cells if not cell.trains)
    numbers = {reason: number for number, reason in enumerate(reasons, start=1)}
    layouts = list(dict.fromkeys(cell.layout for cell in cells))
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        text = cell.manner or f"no ({numbers[cell.problem]})"
        rows.setdefault((cell.backbone.name, cell.head.name), []).append(text)
    table = [["backbone", "head", *layouts], *([*names, *texts] for names, texts in rows.items())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield f"{sum(cell.trains for cell in cells)} of {len(cells)} train"
    yield from (f"({number}) {reason}" for reason, number in numbers.items())


def _as_json(cells: Sequence["Cell"]) -> str:
    content = [
        {
            "backbone": cell.backbone.name,
            "head": cell.head.name,
            "layout": cell.layout,
            "task": cell.head.task,
            "trains": cell.trains,
            "manner": cell.manner,
            "problem": cell.problem,
            "input_size": list(cell.input_info.size) if cell.input_info else None,
            "backbone_options": dict(cell.example.options) if cell.example else None,
        }
        for cell in cells
    ]
    return json.dumps(content, indent=2)
