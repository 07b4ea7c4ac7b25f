"""Keeps a run's mirror up to date from a thread, so that training neither waits for MLflow nor fails with it."""

import logging
import threading

from medvid.plugin.events import RunInfo, RunStatus
from medvid.redaction import redact
from medvid.tracking.content import short_path
from medvid.tracking.mirror import Mirror

logger = logging.getLogger("medvid")

INTERVAL = 10.0
"""Seconds between two looks at the run folder."""
RETRY = 30.0
"""Seconds after which a store that failed is tried again."""
FINISH_TIMEOUT = 60.0
"""Seconds that the end of a run waits for MLflow."""
STOP_TIMEOUT = 5.0
"""Seconds that a run which a signal has stopped waits for MLflow; resuming it, or `platform sync`, adds the rest."""
LONGEST_REASON = 300


class MirrorThread(threading.Thread):
    """Mirrors one run until `finish` is called.

    Only the first failure is reported: nothing is lost, since the folder keeps what was not mirrored.

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

    def run(self) -> None:
        """The thread's work; not to be called directly."""
        ending = False
        while not ending:
            ending = self._ending.is_set()
            try:
                self._update(ending)
                pause = INTERVAL
            except Exception as error:  # no error of MLflow, its store or the network may reach the run
                self._report(error)
                pause = RETRY
            self.attempted.set()
            if not ending:
                self._ending.wait(pause)

    def _update(self, ending: bool) -> None:
        if self._mirror is None:
            self._mirror = Mirror(self._run, self._uri)
        if ending:
            self._mirror.finish(self._status)
            self._complete = True
        else:
            self._mirror.push(self.best_step)

    def _report(self, error: Exception) -> None:
        if self._reported:
            return
        self._reported = True
        reason = redact(f"{type(error).__name__}: {error}".partition("\n")[0])[:LONGEST_REASON]
        logger.warning(
            "MLflow at %s does not accept the run's figures at present (%s). Training continues; they are kept in %s.",
            redact(self._uri),
            reason,
            short_path(self._run.folder / "metrics.jsonl"),
        )

    def finish(self, status: RunStatus) -> None:
        """Log the rest and close the MLflow run; waits for it, but not longer than `FINISH_TIMEOUT`.

        After a signal `STOP_TIMEOUT`: whoever sent it kills what does not end soon.
        """
        self._status = status
        self._ending.set()
        self.join(STOP_TIMEOUT if status == "killed" else FINISH_TIMEOUT)
        if not self._complete:
            logger.warning(
                "MLflow is missing some results of this run. Nothing is lost; once it can be reached: platform sync %s",
                short_path(self._run.folder),
            )
