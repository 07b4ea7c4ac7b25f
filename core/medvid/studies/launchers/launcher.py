"""What a launcher is: it decides where and when the cells of a study run."""

from typing import Protocol, runtime_checkable

from medvid.studies.work import Work


@runtime_checkable
class Launcher(Protocol):
    """Starts the cells of a study; built as ``target(options)``."""

    def launch(self, work: Work) -> None:
        """Start what there is to do, here by `Work.start`, or elsewhere by `Work.command`.

        One that runs the cells itself returns when they have ended; one that hands them to a cluster, at once. Another
        process can have taken a cell meanwhile: that is not an error.

        Args:
            work: the cells to run.

        Raises:
            medvid.errors.Interrupted: a signal came; the cells have saved their state.
            medvid.errors.MedvidError: cells cannot be started here at all. A cell that fails is not an error of the
                launcher.
        """
        ...
