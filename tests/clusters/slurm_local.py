"""A real SLURM of two pretended nodes on this machine, for one command: ``python slurm_local.py COMMAND...``

It needs Debian's slurmctld, slurmd, slurm-client and munge, and leaves the system alone: a key, ports on the loopback
and folders of its own. The daemons are children of this process, which adopts what they leave behind and ends its
own descendants, and nothing else, with the command. Nodes are called n1 and n2, which are no host names, so each task
gets MASTER_ADDR. A requeued job starts again after five seconds. There is no accounting, so no sacct.
"""

import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo", "scancel", "squeue")
NODES = ("n1", "n2")
CONFIG = """\
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={dir}/munge.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={dir}/task-prolog
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool-%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd-%n.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdLogFile={dir}/slurmd-%n.log
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0,batch_sched_delay=0,defer_batch
PriorityType=priority/basic
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=DEFAULT CPUs=4 Sockets=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory={memory} State=UNKNOWN
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
_SUBREAPER, _DEATH_SIGNAL = 36, 1  # of prctl


def missing() -> list[str]:
    """The programs that are not installed."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return [name for name in PROGRAMS if not shutil.which(name)]


def run(command: list[str]) -> int:
    """Run a command with a cluster; its exit code."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        _start(folder)
        started = subprocess.Popen(command, env=os.environ | {"SLURM_CONF": f"{folder}/slurm.conf"})
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: started.send_signal(number))
        code = started.wait()
        return code if code >= 0 else 128 - code
    finally:
        _end_descendants()
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "state").mkdir()
    ports, host = _free_ports(1 + len(NODES)), socket.gethostname()
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=host, user=getpass.getuser(), dir=folder, ports=ports, memory=memory))
    prolog = folder / "task-prolog"
    prolog.write_text("#!/bin/sh\necho export MASTER_ADDR=127.0.0.1\n")
    prolog.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    files = {"socket": "munge.socket", "key-file": key.name, "pid-file": "munged.pid", "seed-file": "munged.seed"}
    files |= {"log-file": "munged.log"}
    _spawn(folder, "munged", "-F", "--force", *(f"--{name}={folder / file}" for name, file in files.items()))
    _wait_until((folder / "munge.socket").exists, 10, folder / "munged.out")
    _spawn(folder, "slurmctld", "-D", "-i", "-f", str(config))
    for name in NODES:
        (folder / f"spool-{name}").mkdir()
        _spawn(folder, "slurmd", "-D", "-N", name, "-f", str(config))
    ask = ["sinfo", "-h", "-N", "-o", "%t"]
    environment = os.environ | {"SLURM_CONF": str(config)}

    def are_idle() -> bool:
        done = subprocess.run(ask, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.split() == ["idle"] * len(NODES)

    _wait_until(are_idle, 90, folder / "slurmctld.log")


def _spawn(folder: Path, program: str, *arguments: str) -> None:
    with (folder / f"{program}.out").open("a") as output:
        subprocess.Popen(
            [program, *arguments],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (there are no threads)
        )


def _end_with_parent() -> None:
    """Have the kernel end a daemon when this process is killed outright."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _wait_until(is_true: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{log}: {log.read_text()[-1500:]}")
        time.sleep(0.1)


def _end_descendants() -> None:
    for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
        deadline, told = time.monotonic() + seconds, set[int]()
        while (alive := _descendants(os.getpid())) and time.monotonic() < deadline:
            for process in alive - told:
                with suppress(ProcessLookupError):
                    os.kill(process, number)
            told |= alive
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.05)


def _descendants(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, todo = set[int](), [root]
    while todo:
        new = children.get(todo.pop(), [])
        found.update(new)
        todo += new
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    if absent := missing():
        sys.exit(f"not installed: {', '.join(absent)}; apt-get install slurmctld slurmd slurm-client munge")
    sys.exit(run(sys.argv[1:]))
