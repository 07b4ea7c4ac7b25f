"""The runs of a study that predict together: the folds of its best configuration."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.errors import ConfigError
from medvid.plugin.host import make_host
from medvid.studies.compare import Comparison, compare
from medvid.studies.study import Study
from medvid.studies.together import Finished, finished_cells, sides_of

logger = logging.getLogger("medvid")


@dataclass(frozen=True, slots=True)
class Best:
    """The best configuration of a study.

    Args:
        name: of it.
        runs: the run folders of its folds, of the first seed that has all of them.
        comparison: of the others with it; None of a study with one configuration.
    """

    name: str
    runs: Sequence[Path]
    comparison: Comparison | None


def best_of_study(path: Path, plugins: Path | None = None) -> Best:
    """The configuration with the best figure on the cases that all configurations have scored.

    Args:
        path: of the study.
        plugins: the allow-list.

    Raises:
        ConfigError: it is not a study; no cell has finished; or no seed of the best configuration has all folds.
        DataError: files of cells are damaged.
    """
    study = Study.find(path, make_host(plugins))
    cells, asked = study.cells(), study.options.compare
    done = finished_cells(study.folder, cells)
    sides = sides_of(study.folder, done, study.group)
    if not sides:
        raise ConfigError(f"no cell of the study {path} has finished", hint=f"platform study resume {path}")
    comparison = compare([*sides.values()], metric=asked.metric, test=asked.test) if len(sides) > 1 else None
    name = comparison.best if comparison else next(iter(sides))
    if comparison and comparison.pairs[0].other != name:  # of two, the first is the baseline unless told otherwise
        comparison = compare([*sides.values()], metric=asked.metric, test=asked.test, baseline=name)
    folds = len({cell.fold for cell in cells if cell.configuration == name})
    return Best(name, _folds_of([one for one in done if one.cell.configuration == name], folds, study), comparison)


def _folds_of(done: Sequence[Finished], folds: int, study: Study) -> list[Path]:
    """The run folders of the first seed that has finished all folds."""
    for seed in dict.fromkeys(one.cell.seed for one in done):
        own = [one for one in done if one.cell.seed == seed]
        if len(own) == folds:
            return [one.cell.run_folder(study.folder).path for one in own]
    raise ConfigError(
        f"no seed of the configuration {done[0].cell.configuration} has finished all of its {folds} folds",
        hint=f"platform study resume {study.folder.path}",
    )


def runs_of(path: Path, plugins: Path | None = None) -> Sequence[Path]:
    """The run folders that predict for a study; says which they are.

    Raises:
        ConfigError, DataError: as `best_of_study`.
    """
    best = best_of_study(path, plugins)
    why = f", the best by {best.comparison.metric}" if best.comparison else ""
    logger.info("the study %s predicts by %s%s", path.name, ", ".join(run.name for run in best.runs), why)
    return best.runs
