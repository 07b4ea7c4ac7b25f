"""The columns of MLflow's list of runs: backbone, head and headline figure, which its default leaves out.

MLflow's pages keep a shared view as JSON in a tag of the experiment, and show it at an address with its name.
"""

import json
import logging
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from medvid.tracking.store import VIEW

logger = logging.getLogger("medvid")

TAG = f"mlflow.sharedViewState.{VIEW}"
PARTS = ("backbone.name", "head.name")
MAX_COLUMNS = 12
"""More than fit on a screen; an experiment can hold runs with other headline figures."""


def show(client: MlflowClient, experiment: str, metrics: Sequence[str]) -> None:
    """Show the parts of a run and some metrics, by MLflow's keys, in the list of an experiment's runs."""
    known = client.get_experiment(experiment).tags.get(TAG)
    before = _columns(known)
    wanted = [*(f"params.`{name}`" for name in PARTS), *(f"metrics.`{name}`" for name in metrics)]
    columns = list(dict.fromkeys([*before, *wanted]))[:MAX_COLUMNS]
    if columns == before:
        return
    try:
        client.set_experiment_tag(experiment, TAG, json.dumps({"selectedColumns": columns}))
    except MlflowException:  # a server can allow runs but not this
        logger.debug("MLflow does not accept a view of the experiment", exc_info=True)


def _columns(tag: str | None) -> list[str]:
    try:
        return [str(column) for column in json.loads(tag or "{}").get("selectedColumns", [])]
    except (ValueError, AttributeError):
        return []
