"""Energy, where a device counts it: NVIDIA GPUs since Volta; processors, if this user may read their counters."""

from collections.abc import Callable
from pathlib import Path

import torch

_RAPL = Path("/sys/class/powercap")
"""Where Linux has the counters of processors: microjoules of each package, back to 0 after some minutes to hours."""


def joules(call: Callable[[], object], device: torch.device) -> float | None:
    """What a device used while a call ran, all that runs on it included; None where it does not tell.

    Args:
        call: what is measured; it has to take long, as counters advance some 10 to 1000 times a second.
        device: where it computes.
    """
    read = _counter_of(device)
    before = read() if read else None
    call()
    after = read() if read else None
    return after - before if before is not None and after is not None and after > before else None


def _counter_of(device: torch.device) -> Callable[[], float | None] | None:
    if device.type == "cuda":
        return _of_gpu(device)
    packages = sorted(_RAPL.glob("intel-rapl:[0-9]*/energy_uj")) if device.type == "cpu" else []
    packages = [path for path in packages if path.parent.name.count(":") == 1]  # the parts of a package are in it
    return (lambda: _of_packages(packages)) if packages else None


def _of_packages(packages: list[Path]) -> float | None:
    try:
        return sum(int(path.read_text()) for path in packages) / 1e6
    except (OSError, ValueError):  # for root only, on most systems
        return None


def _of_gpu(device: torch.device) -> Callable[[], float | None] | None:
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # not installed, no driver, MIG, or too old a GPU
        return None
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
