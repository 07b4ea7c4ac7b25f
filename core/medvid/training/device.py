"""Devices, precision and processes, through lightning-fabric."""

import logging
import os
import warnings
from typing import Literal

import torch
from lightning_fabric import Fabric

from medvid.config.task import TrainOptions
from medvid.errors import ResourceError
from medvid.machine import usable_cores


def make_fabric(options: TrainOptions) -> Fabric:
    """Build the Fabric that places models and batches, casts and talks between processes.

    Raises:
        ResourceError: the task asks for devices that this machine does not have.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # each process would introduce itself
    # Torch counts the machine's cores, not those that a container grants.
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    accelerator = resolve_accelerator(options)
    available = 1 if accelerator in ("cpu", "mps") else torch.cuda.device_count()
    devices = available if options.devices == "auto" else options.devices
    if accelerator == "cuda" and devices > available:
        raise ResourceError(
            f"train.devices asks for {devices} GPUs, this machine has {available}",
            hint=f"set train.devices to {available} or less: --set train.devices={available}",
        )
    if accelerator == "cuda":
        _use_deterministic_algorithms(options.deterministic)
    strategy = "auto"
    if devices > 1 or options.strategy == "ddp":
        # A head need not use all that a backbone computes, so parameters may be left without a gradient.
        strategy = "ddp_find_unused_parameters_true"
        # Kernels of a single channel have one memory format by several strides; which one does not matter.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    precision = resolve_precision(options.precision, accelerator)
    return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)


def _use_deterministic_algorithms(deterministic: bool) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithm
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = not deterministic


def resolve_accelerator(options: TrainOptions) -> str:
    """The accelerator that the task asks for, or the best that this machine has.

    Raises:
        ResourceError: it is not there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if options.accelerator == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present[options.accelerator]:
        found = ", ".join(name for name, there in present.items() if there)
        raise ResourceError(
            f"train.accelerator is {options.accelerator!r}, but torch {torch.__version__} finds only: {found}",
            hint="use --set train.accelerator=auto, or check the driver with `nvidia-smi`",
        )
    return options.accelerator


Precision = Literal["bf16-mixed", "32-true"]


def resolve_precision(option: Literal["auto", "fp32", "bf16"], accelerator: str) -> Precision:
    """Fabric's name of the precision; ``auto`` is bf16 autocast where bf16 products are native, else float32."""
    use_bf16 = multiplies_bf16(accelerator) if option == "auto" else option == "bf16"
    return "bf16-mixed" if use_bf16 else "32-true"


def multiplies_bf16(accelerator: str) -> bool:
    """Whether the hardware multiplies bf16 natively; emulated bf16 is slower than float32."""
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def describe_device(fabric: Fabric) -> str:
    """For people: how many of what, and the precision."""
    device = fabric.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    precision = {"bf16-mixed": "bf16", "32-true": "fp32"}[fabric._precision.precision]
    return f"{fabric.world_size} x {name}, {precision}"
