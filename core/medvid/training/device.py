"""Devices and processes, through lightning-fabric."""

import logging
from typing import Any

import torch
from lightning_fabric import Fabric

from medvid.config.task import TrainOptions
from medvid.devices.cluster import RunEnvironment, find_layout
from medvid.devices.determinism import train_deterministically
from medvid.devices.precision import precision_of, precision_plugin, resolve_precision, use_tf32
from medvid.errors import ResourceError
from medvid.machine import usable_cores
from medvid.training.replicas import make_strategy

logger = logging.getLogger("medvid")


def make_fabric(options: TrainOptions) -> Fabric:
    """Build the Fabric that places models and batches, casts and talks between processes.

    Raises:
        DistributedError: the task asks for other devices than the processes that were started can have.
        ResourceError: the task asks for devices that this machine does not have.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # each process would introduce itself
    # Torch counts the machine's cores, not those that a container grants.
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    accelerator = resolve_accelerator(options)
    layout = find_layout(options, {"cpu": 0, "mps": 1}.get(accelerator, torch.cuda.device_count()))
    if accelerator == "cuda":
        train_deterministically(options.deterministic)
    strategy = make_strategy(options, layout)
    precision = resolve_precision(options.precision, accelerator)
    if accelerator == "cuda":
        use_tf32(precision == "tf32")
    plugins: list[Any] = [precision_plugin(precision, accelerator)]
    if strategy == "auto":
        plugins.append(RunEnvironment())
    return Fabric(
        accelerator=accelerator, devices=layout.per_node, num_nodes=layout.nodes, strategy=strategy, plugins=plugins
    )


def resolve_accelerator(options: TrainOptions) -> str:
    """The accelerator that the task asks for; auto: CUDA where there is a GPU for it, else the CPU.

    Raises:
        ResourceError: it is not there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if options.accelerator == "auto":
        if present["mps"] and not present["cuda"]:
            logger.info("the GPU of this Mac is not used, as medvid was not tested on it: --set train.accelerator=mps")
        return "cuda" if present["cuda"] else "cpu"
    if not present[options.accelerator]:
        found = ", ".join(name for name, there in present.items() if there)
        raise ResourceError(
            f"train.accelerator is {options.accelerator!r}, but torch {torch.__version__} finds only: {found}",
            hint="use --set train.accelerator=auto, or check the driver with `nvidia-smi`",
        )
    return options.accelerator


def describe_device(fabric: Fabric) -> str:
    """For people: how many of what, on how many machines, and the precision."""
    device, nodes = fabric.device, getattr(fabric.strategy, "num_nodes", 1)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    machines = f"{nodes} nodes x " if nodes > 1 else ""
    return f"{machines}{fabric.world_size // nodes} x {name}, {precision_of(fabric)}"
