"""`platform score` of two tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from medvid.plugin.specs import What

if TYPE_CHECKING:
    from medvid.evaluation.protocols import ViewProtocol
    from medvid.plugin.info import TargetInfo


@dataclass(frozen=True, slots=True)
class Asked:
    """What tables are to be scored for, see `medvid.evaluation.table_scores.score_tables`."""

    what: What
    columns: list[str]
    classes: list[str]
    protocol: str


def score_asked_tables(
    context: typer.Context,
    predictions: Path,
    truth: Path,
    asked: Asked,
    output: Path,
    *,
    common: bool,
    resamples: int,
) -> None:
    """Score tables, and write figures.csv, summary.json and, of videos, videos.csv.

    Raises:
        MedvidError: as `medvid.evaluation.table_scores.score_tables`, or the protocol does not score what they hold.
    """
    from medvid.cli.common import plugins_file
    from medvid.cli.protocols import build_protocol, protocol_options
    from medvid.evaluation.report import as_rich, write_cases
    from medvid.evaluation.scoring.closing import write_figures
    from medvid.evaluation.scoring.entry_table import figure_table
    from medvid.evaluation.table_scores import score_tables
    from medvid.files import make_folder, write_json
    from medvid.plugin.host import make_host
    from medvid.tracking.screen import make_console

    used: dict[str, object] = {}

    def make_protocol(target: "TargetInfo") -> "ViewProtocol":
        host = make_host(plugins_file(context))
        options = protocol_options(host, asked.protocol, target.where, target.what)
        used.update(protocol=options.name, options=options.model_dump(mode="json", exclude={"name"}))
        return cast("ViewProtocol", build_protocol(host, options, target))

    scores = score_tables(
        predictions,
        truth,
        asked.what,
        asked.columns,
        classes=asked.classes,
        protocol=None if asked.protocol == "medvid" else make_protocol,
        common=common,
        resamples=resamples,
    )
    make_folder(output)
    if scores.found:
        write_figures(scores.found, output)
    if scores.videos:
        write_cases(scores.videos, output / "videos.csv")
    summary = {"predictions": str(predictions), "truth": str(truth), "cases": scores.rows, "what": asked.what, **used}
    summary |= {"names": scores.names, "metrics": scores.metrics, "notes": scores.notes}
    write_json(output / "summary.json", summary)
    console = make_console()
    if scores.table:
        console.print(as_rich(scores.table))
    shown, found = dict(scores.metrics), scores.found
    if found:
        console.print(as_rich(figure_table(found, scores.names, [*found.by_name])))
        for figure in found.figures:
            if figure.column not in found.by_name:
                console.print(f"{figure.heading}: {figure.text(found.values[figure.column])}")
        shown = {name: value for name, value in shown.items() if name not in found.metrics}
    for name, value in shown.items():
        if "/" not in name:
            console.print(f"{name}: {value:.3f}")
    for note in scores.notes:
        console.print(note)
    typer.echo(f"written to {output}")
