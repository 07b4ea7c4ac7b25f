"""Abdominal phantoms in BTCV's layout and file format, see `medvid_btcv.abdomen`."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from medvid.data.generated import generate_once
from medvid.seeding import derive_seed
from medvid_btcv.abdomen import draw_abdomen, write_scan
from medvid_btcv.config import LABELS, PhantomOptions, SynapsePhantomOptions
from medvid_btcv.published import TRANSUNET


def generate(folder: Path, options: PhantomOptions) -> None:
    """Write the phantoms, unless the folder already holds exactly these.

    The folder gets ``img/img0001.nii.gz`` ..., ``label/label0001.nii.gz`` ... and a ``dataset_0.json`` that lists the
    first cases for training and the others for validation. It appears under its name only once it is complete.

    Args:
        folder: the folder to make; other phantoms in it are replaced.
        options: how many, how large, and the seed.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_btcv.phantoms", "format": 1, "options": options.model_dump(mode="json")}
    generate_once(folder, description, partial(_write_cases, options=options))


def generate_synapse(folder: Path, options: SynapsePhantomOptions) -> None:
    """Write ``Training/img/img0001.nii.gz`` ... and ``Training/label/label0001.nii.gz`` ..., unless they exist.

    Args:
        folder: the folder to make; other phantoms in it are replaced.
        options: how large, and the seed.

    Raises:
        DataError: the folder holds something else.
    """
    description = {
        "generator": "medvid_btcv.phantoms:synapse",
        "format": 1,
        "options": options.model_dump(mode="json"),
    }
    generate_once(folder, description, partial(_write_synapse, options=options))


def phantom(options: PhantomOptions | SynapsePhantomOptions, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make one case; reproducible.

    Args:
        options: shape, spacing and seed.
        number: number of the case, from 1.

    Returns:
        Intensities in HU (X, Y, Z) int16, label ids (X, Y, Z) uint8, and the affine (4, 4).
    """
    random = np.random.default_rng(derive_seed(options.seed, "phantom", number))
    return draw_abdomen(options.shape, options.spacing, LABELS, random)


def _write_cases(folder: Path, options: PhantomOptions) -> None:
    """Write images, label maps and the list of cases."""
    cases = []
    for kind in ("img", "label"):
        (folder / kind).mkdir()
    for number in range(1, options.train + options.validation + 1):
        image, labels, affine = phantom(options, number)
        case = {"image": f"img/img{number:04d}.nii.gz", "label": f"label/label{number:04d}.nii.gz"}
        write_scan(folder / case["image"], image, affine)
        write_scan(folder / case["label"], labels, affine)
        cases.append(case)
    content = {
        "description": "Generated phantoms in the layout of BTCV; no patient's data",
        "labels": {str(number): label for number, label in enumerate(LABELS)},
        "modality": {"0": "CT"},
        "training": cases[: options.train],
        "validation": cases[options.train :],
    }
    (folder / "dataset_0.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _write_synapse(folder: Path, options: SynapsePhantomOptions) -> None:
    for kind in ("img", "label"):
        (folder / "Training" / kind).mkdir(parents=True)
    for number in sorted(number for numbers in TRANSUNET.values() for number in numbers):
        image, labels, affine = phantom(options, number)
        for kind, array in (("img", image), ("label", labels)):
            write_scan(folder / "Training" / kind / f"{kind}{number:04d}.nii.gz", array, affine)
