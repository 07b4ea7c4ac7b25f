"""Telling what a study says so far: its table, its summary and its MLflow run."""

import logging
from collections.abc import Mapping

from medvid.errors import MedvidError
from medvid.studies.aggregate import aggregate
from medvid.studies.cells import Cell
from medvid.studies.parent import update_parent
from medvid.studies.states import State
from medvid.studies.study import Study
from medvid.studies.table import Together

logger = logging.getLogger("medvid")


def report(study: Study, found: Mapping[Cell, State], *, ended: bool) -> Together:
    """Write what the finished cells say together into the study's folder, and to MLflow.

    Args:
        study: the study.
        found: its cells with their states.
        ended: whether no further cells come, as they do while a search goes on.

    Raises:
        DataError: files of a cell are damaged.
        ConfigError: the regular expression of its groups does not find one in every case.
        ResourceError: the folder cannot be written.
    """
    with study.folder.lock():
        together = aggregate(study.folder, [*found], metric=study.options.compare.metric, group=study.group)
        update_parent(study.folder, study.configurations[0], found, together, ended=ended)
    return together


def report_end(study: Study, found: Mapping[Cell, State], *, ended: bool) -> None:
    """As `report`, while cells run: what is wrong with it is logged, since it stops none of them."""
    try:
        report(study, found, ended=ended)
    except MedvidError as error:
        logger.warning("what the study says so far is not written: %s", error)
