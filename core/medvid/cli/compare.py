"""`platform compare`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from medvid.studies.compare import Comparison


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Runs, evaluations of runs, or studies; two or more.")
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric", help="A figure of theirs, such as dice or dice/liver. Default: what chose the weights."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="RUN", help="What others are compared with: of two the first, else the best."
        ),
    ] = None,
    test: Annotated[
        Literal["permutation", "wilcoxon"], typer.Option("--test", help="The paired test.")
    ] = "permutation",
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="RE", help="Finds the patient in a case's name: '^(pat[0-9]+)_'."),
    ] = None,
) -> None:
    """Compare runs on the cases that all of them have: differences with intervals, a paired test, wins and losses.

    Several scans of a patient count as one. Where more than two are compared, p is also corrected by Holm's method.
    """
    from medvid.studies.compare import compare as compare_sides
    from medvid.studies.rows import pattern_of
    from medvid.studies.sides import read_sides

    sides = read_sides(runs)
    by_path = {side.source: side.name for side in sides}
    found = compare_sides(
        sides,
        metric=metric,
        baseline=by_path.get(Path(baseline).absolute(), baseline) if baseline else None,
        test=test,
        group=pattern_of(group),
    )
    for line in lines_of(found):
        typer.echo(line)


def lines_of(found: "Comparison") -> Iterator[str]:
    """A comparison for the terminal."""
    from medvid.cli.common import aligned
    from medvid.studies.text import counted, interval_text, p_text, signed, text

    yield f"{found.metric} of {counted(found.cases, 'case')}; {found.better} is better"
    yield from aligned([(name, text(value), interval_text(of)) for name, (value, of) in found.figures.items()])
    yield ""
    rows = []
    for pair in found.pairs:
        said = [f"p = {p_text(pair.difference.p)}", f"Holm {p_text(pair.corrected)}" if len(found.pairs) > 1 else ""]
        if pair.wins is not None:
            said.append(f"wins {pair.wins}, losses {pair.losses}, ties {pair.difference.equal}")
        interval = interval_text(pair.difference.interval, signed)
        rows.append((f"{pair.one} - {pair.other}", signed(pair.difference.mean), interval, *said))
    yield from aligned(rows)
    yield ""
    yield from found.notes
