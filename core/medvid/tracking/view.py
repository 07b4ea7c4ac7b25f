"""The columns of MLflow's list of runs: backbone, head and headline figure, which its own choice leaves out.

MLflow's pages keep a view that is to be shared as JSON in a tag of the experiment, and show it to whoever comes with
its name in the address.
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
"""More than a screen shows; an experiment may hold runs with other headline figures."""


def show(client: MlflowClient, experiment: str, metrics: Sequence[str]) -> None:
    """Have the parts of a run and some metrics, by MLflow's keys, in the list of an experiment's runs."""
    known = client.get_experiment(experiment).tags.get(TAG)
    before = _columns(known)
    wanted = [*(f"params.`{name}`" for name in PARTS), *(f"metrics.`{name}`" for name in metrics)]
    columns = list(dict.fromkeys([*before, *wanted]))[:MAX_COLUMNS]
    if columns == before:
        return
    try:
        client.set_experiment_tag(experiment, TAG, json.dumps({"selectedColumns": columns}))
    except MlflowException:  # a server may allow runs and not this
        logger.debug("MLflow takes no view of the experiment", exc_info=True)


def _columns(tag: str | None) -> list[str]:
    try:
        return [str(column) for column in json.loads(tag or "{}").get("selectedColumns", [])]
    except (ValueError, AttributeError):
        return []
