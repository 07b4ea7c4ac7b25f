"""`platform compare`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medvid.cli.common import aligned, plugins_file

if TYPE_CHECKING:
    from medvid.studies.compare import Comparison
    from medvid.studies.sides import Side


MetricOption = Annotated[
    str | None,
    typer.Option("--metric", help="A figure, such as dice or dice/liver. Default: what has chosen the weights."),
]
BaselineOption = Annotated[
    str | None,
    typer.Option("--baseline", metavar="NAME", help="What others are compared with: of two the first, else the best."),
]
Test = Literal["permutation", "wilcoxon"]
TestOption = Annotated[Test, typer.Option("--test", help="The paired test.")]
GroupOption = Annotated[
    str | None, typer.Option("--group", metavar="REGEX", help="Finds the patient in a case's name: '^(pat[0-9]+)_'.")
]


def compare(
    context: typer.Context,
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Runs, evaluations of runs, or studies; two or more.")
    ],
    metric: MetricOption = None,
    baseline: BaselineOption = None,
    test: TestOption = "permutation",
    group: GroupOption = None,
) -> None:
    """Compare runs on the cases that all of them have: differences with intervals, a paired test, wins and losses.

    Several scans of a patient count as one. Where more than two are compared, p is also corrected by Holm's method.
    """
    from medvid.studies.reading import read_sides

    sides = read_sides(runs, plugins_file(context))
    by_path = {side.source: side.name for side in sides}
    base = by_path.get(Path(baseline).absolute(), baseline) if baseline else None
    show(sides, metric, base, test, group)


def show(sides: "Sequence[Side]", metric: str | None, baseline: str | None, test: Test, group: str | None) -> None:
    """Compare sides and show what comes of it."""
    from medvid.studies.compare import compare as compare_sides
    from medvid.studies.rows import pattern_of

    found = compare_sides(sides, metric=metric, baseline=baseline, test=test, group=pattern_of(group))
    for line in lines_of(found):
        typer.echo(line)


def lines_of(found: "Comparison") -> Iterator[str]:
    """A comparison for the terminal."""
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
