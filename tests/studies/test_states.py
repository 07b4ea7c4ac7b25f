"""The state of a cell: from files alone, whatever has been left there."""

import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from medvid.locks import taken
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.states import State, state_of

CELL = Cell("default", 0, 1)
SUMMARIES = st.sampled_from([None, "finished", "failed", "killed", "damaged"])


def _fill(study: StudyFolder, kept: ExitStack, left: dict[str, bool], summary: str | None) -> None:
    """Leave files of a cell as runs, launchers and searches do; locks are held until `kept` is closed."""
    run = CELL.run_folder(study)
    study.logs.mkdir()
    marks = {"failed": CELL.failure(study), "pruned": CELL.pruned(study), "log": CELL.log(study)}
    if left["begun"]:
        run.path.mkdir(parents=True)
        run.resolved.touch()
        run.lock_file.touch()
        if summary:
            run.summary.write_text("{" if summary == "damaged" else json.dumps({"status": summary}))
    for name, path in marks.items():
        if left[name]:
            path.write_text("{}")
    for name, path in {"log": CELL.log(study), "begun": run.lock_file}.items():
        if left[name] and left[f"{name} locked"]:
            kept.enter_context(taken(kept.enter_context(path.open("a"))))


@given(
    left=st.fixed_dictionaries(
        {name: st.booleans() for name in ("begun", "begun locked", "log", "log locked", "failed", "pruned")}
    ),
    summary=SUMMARIES,
)
def test_a_state_is_that_of_the_strongest_sign(left: dict[str, bool], summary: str | None) -> None:
    with TemporaryDirectory() as place, ExitStack() as kept:
        study = StudyFolder(Path(place))
        _fill(study, kept, left, summary)
        state = state_of(study, CELL)
        running = (left["begun"] and left["begun locked"]) or (left["log"] and left["log locked"])
        if left["begun"] and summary == "finished":
            assert state is State.FINISHED
        elif running:
            assert state is State.RUNNING
        elif left["pruned"]:
            assert state is State.PRUNED
        elif left["failed"] or (left["begun"] and summary == "failed"):
            assert state is State.FAILED
        else:
            assert state is (State.INTERRUPTED if left["begun"] else State.WAITING)
        assert state_of(study, CELL) is state  # asking changes nothing, not even locks


def test_cells_are_named_by_what_they_are() -> None:
    assert Cell("unetr", 0, 2).name == "unetr-f0-s2"
    assert Cell("unetr", None, 2).name == "unetr-s2"
