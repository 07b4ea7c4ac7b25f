"""Checks of launchers: what can be said without starting a cell."""

from pathlib import Path
from tempfile import TemporaryDirectory

from medvid.studies.folder import StudyFolder
from medvid.studies.options import StudyOptions
from medvid.studies.study import Study
from medvid.studies.work import Work
from medvid.testing.check import Subject, expect


def check_nothing_to_do(subject: Subject) -> None:
    """A launcher with nothing to do starts nothing, and returns."""
    with TemporaryDirectory(prefix="medvid-") as folder:
        options = StudyOptions.model_validate({"study": {"name": "empty", "task": "task.yaml", "seeds": [0]}})
        work = Work(Study(StudyFolder(Path(folder)), options), ())
        subject.make_target().launch(work)
        expect(not work.ended, f"with no cell to run, {len(work.ended)} have ended")


LAUNCHER_CHECKS = (check_nothing_to_do,)
