"""In which numbers a model computes: what the task asks for, what the device has, and fabric's part in it."""

import logging
import warnings
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.plugins.precision import Precision as PrecisionPlugin
from torch import nn

logger = logging.getLogger("medvid")

Precision = Literal["fp32", "tf32", "bf16", "fp16"]

SOUND_CUDNN = 91500
"""The first version of cuDNN, 9.15, without known faults of three-dimensional convolutions in bf16."""


def resolve_precision(option: Literal["auto"] | Precision, accelerator: str) -> Precision:
    """The precision that the task asks for, as the device has it; what differs or costs more than it seems is logged.

    Args:
        option: of the task; auto: bf16 where its products are native, else fp32.
        accelerator: ``cpu``, ``cuda`` or ``mps``.
    """
    native = multiplies_bf16(accelerator)
    if option == "auto":
        if accelerator == "cuda" and not native:
            logger.info(
                "this GPU does not multiply bf16 natively, so train.precision=auto computes in float32; "
                "--set train.precision=fp16 uses its float16 units"
            )
        return "bf16" if native else "fp32"
    if option == "bf16" and accelerator == "cuda" and not native:
        logger.warning(
            "this GPU emulates train.precision=bf16, which saves memory but is slower than float32; "
            "--set train.precision=fp16 uses its float16 units"
        )
    if option == "tf32" and not (accelerator == "cuda" and torch.cuda.is_tf32_supported()):
        logger.warning("train.precision=tf32 needs a CUDA GPU of the Ampere generation or later: float32 is used here")
        return "fp32"
    return option


def multiplies_bf16(accelerator: str) -> bool:
    """Whether the hardware multiplies bf16 natively; emulated bf16 is slower than float32."""
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def precision_plugin(precision: Precision, accelerator: str) -> PrecisionPlugin:
    """What makes fabric compute in a precision: autocast for bf16 and fp16, nothing for fp32 and tf32.

    Losses are scaled by the training loop, which alone knows of steps that are refused; fabric's scaler is off.
    """
    if precision == "bf16":
        return MixedPrecision("bf16-mixed", accelerator)
    if precision == "fp16":
        return MixedPrecision("16-mixed", accelerator, scaler=torch.amp.GradScaler(accelerator, enabled=False))
    return PrecisionPlugin()


def use_tf32(enabled: bool) -> None:
    """Whether matrix products and convolutions of float32 on CUDA round their factors to 10 bits of mantissa.

    These are torch's older switches, as they set the newer ones too. Torch's own readers, those of `torch.compile`
    among them, raise where only ``fp32_precision`` was set (pytorch issue 166387).
    """
    warnings.filterwarnings("ignore", "Please use the new API settings to control TF32")  # torch 2.10 says so
    torch.set_float32_matmul_precision("high" if enabled else "highest")
    torch.backends.cudnn.allow_tf32 = enabled


def precision_of(fabric: Fabric) -> Precision:
    """The precision in which a Fabric computes."""
    match fabric._precision.precision:
        case "bf16-mixed":
            return "bf16"
        case "16-mixed":
            return "fp16"
    is_tf32 = fabric.device.type == "cuda" and torch.get_float32_matmul_precision() == "high"
    return "tf32" if is_tf32 else "fp32"


def cudnn_note(model: nn.Module, fabric: Fabric) -> str:
    """What has to be said of a cuDNN that is too old for the model's convolutions in bf16; empty where it is not."""
    version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    is_affected = fabric.device.type == "cuda" and precision_of(fabric) == "bf16"
    if not is_affected or version is None or version >= SOUND_CUDNN:
        return ""
    if not any(isinstance(part, nn.Conv3d) for part in model.modules()):
        return ""
    return (
        f"cuDNN {_readable(version)} convolves bf16 in three axes wrongly, or takes much memory for it (pytorch issues "
        f"163539 and 166643): update it to {_readable(SOUND_CUDNN)} or later, or --set train.precision=fp32"
    )


def _readable(version: int) -> str:
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"
