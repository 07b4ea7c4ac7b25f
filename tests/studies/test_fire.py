from pathlib import Path

import pytest
from tests.studies.fire import search_under_fire

from medvid.studies.search.search import best_first
from medvid.studies.states import State


@pytest.mark.usefixtures("working_directory")
def test_a_search_whose_workers_and_runs_are_killed_loses_no_trial() -> None:
    study = search_under_fire(trials=2, workers=2, kills=2, method="grid", space={"train.optimizer.lr": [1e-2]})
    outcomes = study.search.outcomes()
    assert [outcome.state for outcome in outcomes] == [State.FINISHED] * 2, Path("workers.log").read_text()
    assert [outcome.trial.values["train.optimizer.lr"] for outcome in outcomes] == [1e-6, 1e-2]
    assert best_first(outcomes)[0].trial.number > 0
