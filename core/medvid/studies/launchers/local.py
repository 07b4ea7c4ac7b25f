"""Cells as processes of this machine."""

import os
import time
from collections.abc import Mapping

from medvid.errors import Interrupted, ResourceError
from medvid.machine import usable_cores
from medvid.signals import StopSignal
from medvid.studies.launcher_options import LocalOptions
from medvid.studies.process import CellProcess
from medvid.studies.work import Work

PAUSE = 0.2
"""Seconds between looks at the processes."""
THREADS = "OMP_NUM_THREADS"
GPUS = "CUDA_VISIBLE_DEVICES"


class Local:
    """Runs some cells at a time, each on its share of the machine.

    Args:
        options: how many, and on which devices.
    """

    def __init__(self, options: LocalOptions) -> None:
        self.options = options

    def launch(self, work: Work) -> None:
        """Run all cells; on a signal, hand it on and wait until they have saved their state."""
        free = list(reversed(self._shares()))
        running: dict[CellProcess, Mapping[str, str]] = {}
        handed_on = 0
        with StopSignal() as stop:
            while True:
                while free and not stop.received and (cell := next(iter(work), None)):
                    if process := work.start(cell, free[-1]):
                        running[process] = free.pop()
                if stop.received and not handed_on:
                    handed_on = stop.received
                    for process in running:
                        process.stop(handed_on)
                if not running:
                    break
                time.sleep(PAUSE)
                for process in [process for process in running if work.has_ended(process)]:
                    free.append(running.pop(process))
                    work.end(process)
        if stop.received:
            raise Interrupted(
                f"{work.study.folder.name} was stopped; its cells have saved their state",
                signal_number=stop.received,
                hint=f"continue it: platform study resume {work.study.folder.path}",
            )

    def _shares(self) -> list[Mapping[str, str]]:
        """The variables of each cell that runs at a time.

        Raises:
            ResourceError: the machine has fewer GPUs.
        """
        count, each = self.options.concurrency, self.options.devices_per_cell
        threads = {THREADS: str(max(1, usable_cores() // count))} if count > 1 and THREADS not in os.environ else {}
        if each is None:
            return [threads] * count
        visible = _visible_gpus()
        if len(visible) < count * each:
            raise ResourceError(
                f"launcher.concurrency {count} and launcher.devices_per_cell {each} need {count * each} GPUs; this "
                f"machine has {len(visible)}",
                hint="lower one of them, or leave out devices_per_cell",
            )
        return [{**threads, GPUS: ",".join(visible[slot * each : (slot + 1) * each])} for slot in range(count)]


def _visible_gpus() -> list[str]:
    """The GPUs that this process may use, as the variable names them."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get(GPUS)
    return [name.strip() for name in named.split(",")][:count] if named else [str(index) for index in range(count)]
