"""The 30 volumes as phantoms, in BTCV's layout and file format, see `medvid.data.phantoms`."""

from functools import partial
from pathlib import Path

import numpy as np

from medvid.data.generated import generate_once
from medvid.data.phantoms import draw_abdomen, write_scan
from medvid.seeding import derive_seed
from medvid_synapse.config import BTCV_LABELS, SynapsePhantomOptions
from medvid_synapse.scans import TEST, TRAIN


def generate(folder: Path, options: SynapsePhantomOptions) -> None:
    """Write ``Training/img/img0001.nii.gz`` ... and ``Training/label/label0001.nii.gz`` ..., unless they are there.

    Raises:
        DataError: the folder holds something else.
    """
    description = {"generator": "medvid_synapse.phantoms", "format": 1, "options": options.model_dump(mode="json")}
    generate_once(folder, description, partial(_write, options=options))


def _write(folder: Path, options: SynapsePhantomOptions) -> None:
    for number in sorted(TRAIN + TEST):
        random = np.random.default_rng(derive_seed(options.seed, "phantom", number))
        image, labels, affine = draw_abdomen(options.shape, options.spacing, BTCV_LABELS, random)
        for kind, array in (("img", image), ("label", labels)):
            path = folder / "Training" / kind / f"{kind}{number:04d}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_scan(path, array, affine)
