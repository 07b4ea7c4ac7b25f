"""One configuration of nnU-Net's plans: 2d, 3d_fullres or 3d_lowres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medvid.planning.nnunet.estimate import convs_per_stage
from medvid.planning.nnunet.normalization import masked, schemes
from medvid.planning.nnunet.patch import Sizing, plan_patch
from medvid.planning.nnunet.presets import Preset
from medvid.planning.nnunet.topology import Topology

_RESAMPLING = {
    "data": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
    "seg": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
    "probabilities": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
}


@dataclass(frozen=True, slots=True)
class Planning:
    """What all configurations of a plan are made from.

    Args:
        dataset: dataset.json.
        fingerprint: dataset_fingerprint.json.
        preset: of the planner.
        memory: GB.
        plans_name: of the plans.
    """

    dataset: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    preset: Preset
    memory: float
    plans_name: str

    @property
    def channels(self) -> list[str]:
        """Their names; old files call them modalities."""
        named: Mapping[str, str] = self.dataset.get("channel_names") or self.dataset["modality"]
        return list(named.values())


def configuration(
    planning: Planning, name: str, spacing: np.ndarray, median: Sequence[float] | np.ndarray, voxels: float
) -> tuple[dict[str, Any], Sizing]:
    """Plan one configuration.

    Args:
        planning: what it is made from.
        name: of the configuration.
        spacing: mm per axis.
        median: voxels of the median case at it, per axis.
        voxels: of the median case in all; also in 2D those of the whole case.

    Returns:
        Its block of plans.json, without `batch_dice`, and how it came about.
    """
    lengths = [float(voxels) for voxels in median]
    classes, cases = len(planning.dataset["labels"]), int(planning.dataset["numTraining"])
    sizing = plan_patch(spacing.tolist(), lengths, voxels * cases, classes, planning.preset, planning.memory)
    chosen = schemes(planning.channels)
    block: dict[str, Any] = {
        "data_identifier": _identifier(planning, name),
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": sizing.batch,
        "patch_size": list(sizing.topology.patch),
        "median_image_size_in_voxels": lengths,
        "spacing": spacing.tolist(),
        "normalization_schemes": chosen,
        "use_mask_for_norm": masked(chosen, planning.fingerprint["median_relative_size_after_cropping"]),
    }
    for kind, arguments in _RESAMPLING.items():
        block[f"resampling_fn_{kind}"] = "resample_data_or_seg_to_shape"
        block[f"resampling_fn_{kind}_kwargs"] = dict(arguments)
    return block | {"architecture": _architecture(sizing.topology, planning.preset.residual)}, sizing


def _identifier(planning: Planning, name: str) -> str:
    """Folder of the prepared cases; those of the residual planners at full resolution are the plain one's."""
    shared = planning.preset.residual and name != "3d_lowres"
    return f"{'nnUNetPlans' if shared else planning.plans_name}_{name}"


def _architecture(topology: Topology, residual: bool) -> dict[str, Any]:
    axes = len(topology.patch)
    encoder, decoder = convs_per_stage(topology, residual)
    network = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": {
            "n_stages": len(topology.strides),
            "features_per_stage": topology.features(),
            "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
            "kernel_sizes": [list(kernel) for kernel in topology.kernels],
            "strides": [list(stride) for stride in topology.strides],
            "n_blocks_per_stage" if residual else "n_conv_per_stage": encoder,
            "n_conv_per_stage_decoder": decoder,
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
