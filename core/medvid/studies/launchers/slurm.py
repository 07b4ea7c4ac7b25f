"""Cells as one job array of SLURM, or workers that take one after the other."""

import logging
import shlex
from collections.abc import Iterable, Iterator
from itertools import groupby

from medvid.config.refusal import read_text
from medvid.config.yaml import parse_file
from medvid.errors import ConfigError
from medvid.files import make_folder, write_text
from medvid.slurm import Array, Resources, job_script, submit
from medvid.studies.launcher_options import SlurmOptions
from medvid.studies.work import Work

logger = logging.getLogger("medvid")


class Slurm:
    """Writes job.sh, and submits it: a job for each cell, which is queued again until the cell is finished.

    Of a search, whose trials become known as others end, each job is a worker that runs one after the other.

    Args:
        options: what a job asks for.
    """

    def __init__(self, options: SlurmOptions) -> None:
        self.options = options

    def launch(self, work: Work) -> None:
        """Hand all cells to SLURM.

        Raises:
            ConfigError: SLURM refuses the job, or tasks ask for another number of processes.
            ResourceError: there is no SLURM on this machine.
        """
        folder, options = work.study.folder, self.options
        if work.open_count is None:
            numbers = sorted(work.number(cell) for cell in work)
            *command, number = work.command("$SLURM_ARRAY_TASK_ID")
            text, limit = f"{shlex.join(command)} {number}", options.concurrency
            note = f"{len(numbers)} cells of {folder.path}, a job each."
        else:
            self._check_one_process()
            numbers = list(range(min(options.concurrency or work.open_count, work.open_count)))
            text, limit = shlex.join(work.worker_command), None
            note = f"{len(numbers)} workers of {folder.path}: each runs one trial after the other."
        if not numbers:
            folder.job.unlink(missing_ok=True)
            return
        self._check_devices(work)
        make_folder(folder.logs)
        script = job_script(
            text,
            self._resources,
            name=folder.name,
            log=f"{folder.logs}/%A_%a.out",
            array=Array(",".join(_ranges(numbers)), limit),
            notes=(note,),
        )
        write_text(folder.job, script)
        if self.options.submit:
            logger.info("%s", submit(script))
        else:
            logger.info("submit it: sbatch %s", folder.job)

    @property
    def _resources(self) -> Resources:
        asked = self.options.model_dump(
            include={"nodes", "gpus_per_node", "cpus_per_task", "time", "partition", "extra"}
        )
        return Resources(**asked)

    def _check_one_process(self) -> None:
        """Refuse jobs of several processes, each of which would be a worker of its own."""
        if self._resources.processes > 1:
            raise ConfigError(
                f"a search on SLURM runs a trial as one process, but the launcher asks for nodes {self.options.nodes} "
                f"x gpus_per_node {self.options.gpus_per_node}",
                hint="set launcher.nodes and launcher.gpus_per_node to 1, or 0 GPUs for a CPU",
            )

    def _check_devices(self, work: Work) -> None:
        """Refuse tasks that would have another number of processes than SLURM starts, before they wait in a queue."""
        started = self._resources.processes
        for name in work.study.configurations:
            path = work.study.folder.task(name)
            asked = parse_file(read_text(path, "task file"), str(path)).data["train"]["devices"]
            if asked not in ("auto", started):
                raise ConfigError(
                    f"configuration {name!r} has train.devices {asked}, but the launcher asks SLURM for {started} "
                    f"processes a cell: nodes {self.options.nodes} x gpus_per_node {self.options.gpus_per_node}",
                    hint="set train.devices to auto in a study of a new name, or mend the block launcher",
                )


def _ranges(numbers: Iterable[int]) -> Iterator[str]:
    """Increasing numbers as sbatch takes them: ``0-3``, ``7``."""
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        first, *others = [number for _, number in run]
        yield f"{first}-{others[-1]}" if others else str(first)
