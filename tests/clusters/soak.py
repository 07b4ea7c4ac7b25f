"""One run on two pretended machines, killed and stopped again and again: it ends with the bits of an undisturbed run.

    python -m tests.clusters.soak --rounds 5 --blows 4

A round takes minutes, so it is not among the tests. A blow is SIGKILL of a training process or of a whole machine
(torchrun and what it has started), or SIGTERM or SIGUSR1 to the processes of both; then the same commands run again.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.clusters.test_one_run import RUN, agent, environment, free_port, run_to_the_end, same_bits
from tests.runs.conftest import SMALL, draw_images, setting

from medvid.files import read_json
from medvid.runs.folder import RunFolder

BLOWS = ("process", "machine", "SIGTERM", "SIGUSR1")
LONGEST = 20.0
"""Seconds after the start at which a blow comes at the latest."""


def main() -> None:
    """Run rounds until the asked number is done; the first that ends with other bits raises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blows", type=int, default=4, help="in each round")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        store = f"sqlite:///{place / 'mlflow.db'}"
        draw_images(place / "own", "abcdef")
        shutil.copy(SMALL, place)
        alone = run_to_the_end(place, store, "alone", [*RUN, *setting("train.devices=2")])
        for number in range(options.rounds):
            beaten, told = _round(place, store, f"round-{number}", options.blows, draw)
            assert same_bits(beaten, alone), f"round {number} ended with other bits, after: {told}"
            print(f"round {number}: the same bits, after {told}", flush=True)


def _round(place: Path, store: str, name: str, blows: int, draw: random.Random) -> tuple[RunFolder, str]:
    """Run to the end under some blows; returns the run, and the blows that hit."""
    folder, told = RunFolder(place / "runs" / name), []
    while read_json(folder.summary).get("status") != "finished":
        command = [*agent(free_port()), *RUN, "--folder", f"runs/{name}"]
        with (place / f"{name}.log").open("ab") as log:
            machines = [
                subprocess.Popen(command, cwd=place, env=environment(store), stdout=log, stderr=log) for _ in range(2)
            ]
        if len(told) < blows:
            blow, after = draw.choice(BLOWS), draw.uniform(3.0, LONGEST)
            time.sleep(after)
            if all(machine.poll() is None for machine in machines):
                _strike(blow, machines, draw)
                told.append(f"{blow} at {after:.1f} s")
        for machine in machines:
            try:
                machine.wait(120)
            except subprocess.TimeoutExpired:  # waits for the other one, which does not come again
                _end(machine)
    return folder, ", ".join(told) or "nothing"


def _strike(blow: str, machines: list["subprocess.Popen[bytes]"], draw: random.Random) -> None:
    processes = [child for machine in machines for child in psutil.Process(machine.pid).children(recursive=True)]
    if blow == "machine":
        _end(draw.choice(machines))
    elif blow == "process":
        if processes:
            draw.choice(processes).kill()
    else:
        for process in processes:
            os.kill(process.pid, getattr(signal, blow))


def _end(machine: "subprocess.Popen[bytes]") -> None:
    """Kill torchrun and all that it has started."""
    try:
        children = psutil.Process(machine.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    machine.kill()
    for child in children:
        if child.is_running():
            child.kill()
    machine.wait()


if __name__ == "__main__":
    sys.exit(main())
