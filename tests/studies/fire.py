"""A search by several workers, of which workers and runs are killed at random: nothing is lost, and it finds something.

Small in the tests; as a script, `python -m tests.studies.fire`, 12 trials by 3 workers with 10 kills.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from tests.runs.conftest import SMALL, draw_images

from medvid.files import json_text
from medvid.plugin.host import make_host
from medvid.runs.folder import read_metrics
from medvid.studies.folder import StudyFolder, is_study_folder
from medvid.studies.search.search import ENDED, best_first, summary_lines
from medvid.studies.study import Study

DEADLINE = 1800
STUDY = Path("studies/rates")


def search_under_fire(trials: int, workers: int, kills: int, seed: int = 0, **options: Any) -> Study:
    """Search in the working directory until all trials have ended.

    Args:
        trials: number of trials.
        workers: processes that work on it at a time.
        kills: number of SIGKILLs, of a worker or of a run.
        seed: of what is killed, and when.
        options: further ones of the search.

    Returns:
        The study, after checking that no trial was lost, changed or trained twice.
    """
    _write_files(trials, options)
    draw, deadline = random.Random(seed), time.monotonic() + DEADLINE
    running = [_worker("search.yaml")]
    first_seen: dict[int, Mapping[str, Any]] = {}
    next_kill = 0.0
    try:
        while not is_study_folder(STUDY):
            assert running[0].poll() is None, "the search does not start"
            time.sleep(0.1)
        study = Study.find(STUDY, make_host())
        search = study.search
        while True:
            assert time.monotonic() < deadline, "the search does not end"
            outcomes = search.outcomes()
            for outcome in outcomes:
                assert first_seen.setdefault(outcome.trial.number, outcome.trial.values) == outcome.trial.values
            if len(outcomes) == trials and all(outcome.state in ENDED for outcome in outcomes):
                break
            running = [process for process in running if process.poll() is None]
            running += [_worker("resume", str(STUDY)) for _ in range(workers - len(running))]
            if kills and _is_training(study.folder) and time.monotonic() > next_kill:
                kills -= _kill_one(running, draw)
                next_kill = time.monotonic() + draw.uniform(1, 10)
            time.sleep(0.3)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    assert sorted(first_seen) == list(range(trials))
    for cell in study.cells():
        steps = [
            record["step"]
            for record in read_metrics(cell.run_folder(study.folder).metrics)
            if record["split"] == "validation"
        ]
        assert steps == sorted(set(steps)), f"{cell.name} was trained twice"
    return study


def _write_files(trials: int, options: Mapping[str, Any]) -> None:
    draw_images(Path("own"), "abcdef")
    bad = SMALL.read_text().replace("lr: 2e-3", "lr: 1e-6").replace("steps: 3", "steps: 30")
    Path("task.yaml").write_text(
        bad.replace("checkpoint_every: 1", "checkpoint_every: 5").replace("every: 1,", "every: 5,")
    )
    space = {"train.optimizer.lr": {"low": 1e-5, "high": 0.1, "log": True}}
    block = {"method": "tpe", "trials": trials, "space": space, **options}
    Path("search.yaml").write_text(json_text({"study": {"name": STUDY.name, "task": "task.yaml"}, "search": block}))


def _worker(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "medvid", "study", *arguments]
    with Path("workers.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _is_training(folder: StudyFolder) -> bool:
    return any(folder.cells.glob("*/metrics.jsonl"))


def _kill_one(workers: list["subprocess.Popen[bytes]"], draw: random.Random) -> int:
    """Kill a worker, or a run of one; tells whether there was any."""
    found = [process.pid for process in workers if process.poll() is None]
    for pid in list(found):
        try:
            found += [child.pid for child in psutil.Process(pid).children()]
        except psutil.NoSuchProcess:
            continue
    if not found:
        return 0
    try:
        os.kill(draw.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def main() -> None:
    """12 trials by 3 workers, some of them given up."""
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        began = time.monotonic()
        study = search_under_fire(12, 3, 10, prune={"method": "median", "startup_trials": 3})
        print(*summary_lines(study.search), f"{time.monotonic() - began:.0f} s", sep="\n")
        outcomes = study.search.outcomes()
        assert (best_first(outcomes)[0].value or 0) > (outcomes[0].value or 0), "nothing better than the task's own"


if __name__ == "__main__":
    main()
