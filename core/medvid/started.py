"""What started this process: torchrun, srun, another process of medvid, or nobody in particular.

Told by the variables that each of them sets, before torch is imported.
"""

import hashlib
import os
import platform
import re
from dataclasses import dataclass

from medvid.errors import DistributedError

FIRST = "MEDVID_FIRST_PROCESS"
"""Variable with the id of the first process, in those that it started; it may be gone by the time they ask for their
parent."""

_SPECIAL_STEPS = 0xFFFFFFF0
"""Numbers of SLURM's steps from here on stand for the batch script, an interactive shell, and the like."""
_MPI = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "JSM_NAMESPACE_SIZE")
_PORTS = range(12000, 32000)
"""Below those that systems hand out by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The processes of a run that something else started, and which of them this one is.

    Args:
        by: what.
        nodes: machines that they are on.
        per_node: processes on each.
        node: number of this machine.
        local: number of this process on its machine.
        address: of the first machine, as the others reach it.
        port: at which the processes meet there.
    """

    by: str
    nodes: int
    per_node: int
    node: int
    local: int
    address: str
    port: int

    @property
    def processes(self) -> int:
        """All processes of the run."""
        return self.nodes * self.per_node

    @property
    def rank(self) -> int:
        """The number of this process among all."""
        return self.node * self.per_node + self.local

    def __str__(self) -> str:
        if self.nodes == 1:
            return f"{self.by} started {self.processes} processes"
        return f"{self.by} started {self.nodes} x {self.per_node} = {self.processes} processes"

    def again(self, processes: int) -> str:
        """How to start another number of processes."""
        nodes = self.nodes if processes % self.nodes == 0 else 1
        if self.by == "srun":
            return f"srun --nodes={nodes} --ntasks-per-node={processes // nodes} platform run ..."
        return f"torchrun --nnodes={nodes} --nproc-per-node={processes // nodes}"


def find_started() -> Started | None:
    """What started this process as one of several; None where this one may start others, or the first one started it.

    Raises:
        DistributedError: something started several processes in a way that medvid cannot make one run of; or variables
            hold numbers that do not fit.
    """
    if FIRST in os.environ:
        return None
    if "LOCAL_RANK" in os.environ:  # of torchrun, and of what does as it does
        return _by_torchrun()
    if step := _by_srun():
        return step
    for name in (*_MPI, "WORLD_SIZE"):
        if _count(name, 1) > 1:
            raise DistributedError(
                f"by the variable {name}, {os.environ[name]} processes were started, but not by torchrun or srun: each "
                "would train by itself",
                hint=f"start them by torchrun or srun, or let train.devices do it; if it means nothing: unset {name}",
            )
    return None


def is_one_of_several() -> bool:
    """Whether this is one of several processes of a run, which have to agree on what they do.

    Raises:
        DistributedError: as `find_started`.
    """
    return FIRST in os.environ or find_started() is not None


def speaks() -> bool:
    """Whether this process is the one of its run that tells people about it."""
    if FIRST in os.environ:
        return os.environ.get("LOCAL_RANK", "0") == "0"
    try:
        started = find_started()
    except DistributedError:
        return True
    return started is None or started.rank == 0


def node_name() -> str:
    """The name of this machine, as its cluster calls it."""
    return os.environ.get("SLURMD_NODENAME") or platform.node()


def unstarted_note() -> str:
    """What has to be said in a job of SLURM for several tasks whose script does not use srun; empty elsewhere."""
    nodes, tasks = (os.environ.get(f"SLURM_{name}", "1") for name in ("NNODES", "NTASKS"))
    if (nodes, tasks) == ("1", "1") or "SLURM_JOB_ID" not in os.environ or is_one_of_several():
        return ""
    return (
        f"this job of SLURM has {tasks} tasks on {nodes} node(s), but srun did not start this process: the run has the "
        "devices of this node alone, by train.devices. For all of them: srun platform run ..."
    )


def _by_torchrun() -> Started:
    by = "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "what set LOCAL_RANK"
    processes = _count("WORLD_SIZE", 1)
    per_node = _count("LOCAL_WORLD_SIZE", processes)
    nodes = _count("GROUP_WORLD_SIZE", max(1, processes // per_node))
    if nodes * per_node != processes:
        raise DistributedError(
            f"{by} started {processes} processes on {nodes} nodes, {per_node} of them on this one: each node needs as "
            "many as the others",
            hint=f"torchrun --nnodes={nodes} --nproc-per-node=N, with the same N on each node",
        )
    if (local := os.environ["LOCAL_RANK"]) not in map(str, range(per_node)):
        raise DistributedError(
            f"the variable LOCAL_RANK is {local!r}, but there are {per_node} processes here, counted from 0",
            hint="torchrun sets it, WORLD_SIZE and LOCAL_WORLD_SIZE; where it is not meant: unset LOCAL_RANK",
        )
    node = _number("GROUP_RANK", "NODE_RANK")
    address, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), _count("MASTER_PORT", 1)
    if processes > 1 and port == 1:
        raise DistributedError(
            f"{by} started {processes} processes, but MASTER_PORT, where they meet, is not set",
            hint="use torchrun, which sets it; where that is not meant: unset LOCAL_RANK",
        )
    return Started(by=by, nodes=nodes, per_node=per_node, node=node, local=int(local), address=address, port=port)


def _by_srun() -> Started | None:
    """The step of SLURM that this process is one of several tasks of.

    A batch script has the variables of a job, but not those of a step; a shell that srun gave a terminal to has both.
    """
    step = os.environ.get("SLURM_STEP_ID", os.environ.get("SLURM_STEPID", ""))
    if not step.isdecimal() or int(step) >= _SPECIAL_STEPS or "SLURM_PTY_PORT" in os.environ:
        return None
    tasks, nodes = _count("SLURM_STEP_NUM_TASKS", 1), _count("SLURM_STEP_NUM_NODES", 1)
    if tasks == 1:
        return None  # it may start others by itself
    each = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    if tasks % nodes or "," in each:
        raise DistributedError(
            f"srun started {tasks} tasks on {nodes} nodes ({each or 'unevenly'}); each needs as many as the others",
            hint=f"srun --nodes={nodes} --ntasks-per-node=N platform run ...",
        )
    return Started(
        by="srun",
        nodes=nodes,
        per_node=tasks // nodes,
        node=_number("SLURM_NODEID"),
        local=_number("SLURM_LOCALID"),
        address=os.environ.get("MASTER_ADDR") or _first_node(os.environ.get("SLURM_STEP_NODELIST", ""), nodes),
        port=_count("MASTER_PORT", _port_of(os.environ.get("SLURM_JOB_ID", ""), step)),
    )


def _first_node(names: str, nodes: int) -> str:
    """The first of the nodes that SLURM writes as ``n[01-03,07],m2``."""
    if nodes == 1:
        return "127.0.0.1"
    found = re.match(r"([^,\[]+)(?:\[([^,\-\]]+)[^\]]*\]([^,\[]*))?", names)
    if not found:
        raise DistributedError(
            f"the variable SLURM_STEP_NODELIST is {names!r}, and does not tell on which node the processes meet",
            hint="set MASTER_ADDR to the name of the first node",
        )
    return "".join(part or "" for part in found.groups())


def _port_of(job: str, step: str) -> int:
    """A port for a step: others of the same job, and other jobs on the same node, have other ones."""
    digest = hashlib.blake2b(f"{job}.{step}".encode(), digest_size=8).digest()
    return _PORTS[int.from_bytes(digest) % len(_PORTS)]


def _count(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not (text.isdecimal() and int(text)):
        raise DistributedError(
            f"the variable {variable} is {text!r}, but has to be a whole number of at least 1",
            hint=f"torchrun and srun set it so; where neither is meant: unset {variable}",
        )
    return int(text)


def _number(*variables: str) -> int:
    """The first of the variables that is set, counted from 0."""
    for variable in variables:
        if text := os.environ.get(variable):
            if text.isdecimal():
                return int(text)
            raise DistributedError(
                f"the variable {variable} is {text!r}, but has to be a whole number", hint=f"unset {variable}"
            )
    return 0
