"""What a study says together, written into its folder: cases.csv, summary.json, table.md and figures/curves.png."""

import re
from collections import defaultdict
from collections.abc import Sequence

from medvid.evaluation.report import write_cases
from medvid.files import write_json, write_text
from medvid.studies.cells import Cell
from medvid.studies.curves import curves_of, draw_curves
from medvid.studies.folder import StudyFolder
from medvid.studies.sides import Side
from medvid.studies.spreads import spread_of
from medvid.studies.table import Configuration, Together, as_markdown, as_values
from medvid.studies.together import Finished, all_rows, finished_cells, sides_of


def aggregate(
    folder: StudyFolder, cells: Sequence[Cell], *, metric: str | None = None, group: re.Pattern[str] | None = None
) -> Together:
    """Read all finished cells, and write what they say together.

    Args:
        folder: of the study.
        cells: all of them.
        metric: that comes first; default: the one that chooses the weights.
        group: finds the patient in a case's name; default: the patient that rows name, else each case for itself.

    Raises:
        ConfigError: the pattern does not find a patient in every case.
        DataError: files of a cell are damaged, or two folds have scored the same case.
        ResourceError: the study's folder cannot be written.
    """
    done = finished_cells(folder, cells)
    sides = sides_of(folder, done)
    metric = metric or next((side.monitor for side in sides.values()), "")
    cells_of, done_of = defaultdict[str, list[Cell]](list), defaultdict[str, list[Finished]](list)
    for cell in cells:
        cells_of[cell.configuration].append(cell)
    for one in done:
        done_of[one.cell.configuration].append(one)
    found = Together(
        metric,
        {name: side.better(name) for side in sides.values() for name in side.metrics if "/" not in name},
        {name: _configuration(own, done_of[name], sides.get(name), metric, group) for name, own in cells_of.items()},
    )
    if done:
        write_cases(all_rows(done, group), folder.cases)
    if curves := curves_of(folder, done, metric):
        draw_curves(curves, metric, folder.figures / "curves.png")
    write_json(folder.summary, as_values(folder.name, found))
    write_text(folder.table, as_markdown(folder.name, found))
    return found


def _configuration(
    cells: Sequence[Cell], done: Sequence[Finished], side: Side | None, metric: str, group: re.Pattern[str] | None
) -> Configuration:
    names = {one.cell.name for one in done}
    owners = side.groups(group) if side else {}
    headline = [name for name in side.metrics if "/" not in name] if side else []
    wanted = [name for name in dict.fromkeys([metric, *headline]) if side and name in side.metrics]
    folds = len({cell.fold for cell in cells})
    return Configuration(
        finished=len(done),
        cells=len(cells),
        missing=tuple(cell.name for cell in cells if cell.name not in names),
        patients=len(set(owners.values())),
        cases=len(side.cases) if side else 0,
        seconds=sum(one.summary.get("seconds", 0.0) for one in done),
        metrics={
            name: spread_of(side, done, folds, name, owners, draw=name == metric) for name in wanted if side is not None
        },
    )
