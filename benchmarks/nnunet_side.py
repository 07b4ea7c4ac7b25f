"""nnU-Net's side of `against_nnunet.py`, for the Python that has nnunetv2: prepares data set 1, or trains on fold 0.

    python nnunet_side.py prepare MEMORY
    python nnunet_side.py train EPOCHS STEPS

Folders are nnU-Net's environment variables. STEPS are those of an epoch.
"""

import json
import sys
from pathlib import Path

import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

NAME = "Dataset001_Phantoms"


def prepare(memory: float) -> None:
    """Fingerprint, plan and preprocess in one process."""
    extract_fingerprints([1], num_processes=1, show_progress_bar=False)
    plan_experiments([1], gpu_memory_target_in_gb=memory)
    preprocess([1], configurations=["3d_fullres"], num_processes=[1], show_progress_bar=False)


def train(epochs: int, steps: int) -> None:
    """Train, and predict the cases of the fold with the last weights."""
    folder = Path(nnUNet_preprocessed) / NAME
    plans, described = (json.loads((folder / name).read_text()) for name in ("nnUNetPlans.json", "dataset.json"))
    torch.manual_seed(0)
    plans["continue_training"] = False
    trainer = nnUNetTrainer(plans, "3d_fullres", 0, described, device=torch.device("cpu"))
    trainer.num_epochs, trainer.num_iterations_per_epoch = epochs, steps
    trainer.num_val_iterations_per_epoch = 1  # of patches, by which it chooses weights that are not used here
    trainer.run_training()
    trainer.inference_allowed_mirroring_axes = None
    trainer.perform_actual_validation()


if __name__ == "__main__":  # its processes import this file again
    torch.set_num_threads(1)
    if sys.argv[1] == "prepare":
        prepare(float(sys.argv[2]))
    else:
        train(int(sys.argv[2]), int(sys.argv[3]))
