"""Keeps a run's mirror up to date from a thread, so that training neither waits for MLflow nor fails with it."""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from medvid.plugin.events import RunInfo, RunStatus
from medvid.tracking.content import short_path
from medvid.tracking.mirror import Mirror
from medvid.tracking.redaction import redact

logger = logging.getLogger("medvid")

INTERVAL = 10.0
"""Seconds between two looks at the run folder."""
RETRY = 30.0
"""Seconds after which a store that failed is tried again."""
PATIENCE = 60.0
"""Seconds that the end of a run waits for MLflow."""
LONGEST_REASON = 300


class MirrorThread(threading.Thread):
    """Mirrors one run until `finish` is called.

    The first failure is reported and later ones are not: nothing is lost, as the folder keeps what was not mirrored.

    Args:
        run: the run.
        uri: the store.
    """

    def __init__(self, run: RunInfo, uri: str) -> None:
        super().__init__(name=f"mlflow-{run.name}", daemon=True)
        self.best_step: int | None = None
        self.attempted = threading.Event()
        """Set once the MLflow run exists, or could not be made at the first attempt."""
        self._run, self._uri = run, uri
        self._mirror: Mirror | None = None
        self._reported = self._complete = False
        self._ending = threading.Event()
        self._status: RunStatus = "finished"
        self._artifacts: tuple[Path, ...] = ()

    def run(self) -> None:
        """The thread's work; not to be called directly."""
        ending = False
        while not ending:
            ending = self._ending.is_set()
            try:
                self._update(ending)
                pause = INTERVAL
            except Exception as error:  # whatever MLflow, its store or the network raise must not reach the run
                self._report(error)
                pause = RETRY
            self.attempted.set()
            if not ending:
                self._ending.wait(pause)

    def _update(self, ending: bool) -> None:
        if self._mirror is None:
            self._mirror = Mirror(self._run, self._uri)
        if ending:
            self._mirror.finish(self._status, self._artifacts)
            self._complete = True
        else:
            self._mirror.push(self.best_step)

    def _report(self, error: Exception) -> None:
        if self._reported:
            return
        self._reported = True
        reason = redact(f"{type(error).__name__}: {error}".partition("\n")[0])[:LONGEST_REASON]
        logger.warning(
            "MLflow at %s does not take the run's figures for now (%s). Training goes on; they are kept in %s.",
            redact(self._uri),
            reason,
            short_path(self._run.folder / "metrics.jsonl"),
        )

    def finish(self, status: RunStatus, artifacts: Iterable[Path]) -> None:
        """Log the rest and close the MLflow run; waits for it, but not longer than `PATIENCE`."""
        self._status, self._artifacts = status, tuple(artifacts)
        self._ending.set()
        self.join(PATIENCE)
        if not self._complete:
            logger.warning(
                "MLflow does not have all of this run. Nothing is lost; once it can be reached: platform sync %s",
                short_path(self._run.folder),
            )
