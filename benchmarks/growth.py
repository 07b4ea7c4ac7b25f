"""How time and memory grow with a data set: cases of a list, clips of a list, and starts on prepared volumes.

    python benchmarks/growth.py [--quick] [--clips N] [--cases N] [--volumes N]

Files are made in a temporary folder. Each row runs in a process of its own: processor time is that process's, and
memory is what it holds at the end, and at most, beyond what it held at the beginning.
"""

import argparse
import gc
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common import count, print_table

CLASSES = 400
_HELD = "VmRSS:"
_MOST = "VmHWM:"


def memory(kind: str) -> float:
    """Megabytes that this process holds, or held at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) / 1024
    return float("nan")


def timed(do: Callable[[], object]) -> tuple[float, object]:
    """Processor time of this process, in seconds, and the result."""
    began = time.process_time()
    result = do()
    return time.process_time() - began, result


def cases(root: Path, number: int) -> list[str]:
    """A datalist of volumes whose files exist, but are empty: nothing is read of them but their names."""
    from medvid.data.volumes.formats.choice import shipped_formats
    from medvid.data.volumes.index import find_cases

    for kind in ("imagesTr", "labelsTr"):
        (root / kind).mkdir()
        for one in range(number):
            (root / kind / f"case_{one:06d}.nii.gz").touch()
    entries = [
        {"image": f"imagesTr/case_{one:06d}.nii.gz", "label": f"labelsTr/case_{one:06d}.nii.gz"}
        for one in range(number)
    ]
    (root / "dataset.json").write_text(json.dumps({"training": entries}))
    formats, before = shipped_formats(), memory(_HELD)
    seconds, _index = timed(lambda: find_cases(root, formats=formats))
    return [f"{seconds:.2f}", f"{1e3 * seconds / number:.3f}", f"{memory(_HELD) - before:.0f}"]


def clips(root: Path, number: int) -> list[str]:
    """A list of clips, as of Kinetics: none of the files exists."""
    from medvid.data.loading.batches import draw_places
    from medvid.data.splits import hold_out
    from medvid.data.videos.lists import ListFormat, read_lists
    from medvid.digests import digest_of_rows

    with (root / "train.csv").open("w") as file:
        for one in range(number):
            label = one % CLASSES
            file.write(f"train/some_class_{label:03d}/{one:011d}_000012_000022.mp4 {label}\n")
    gc.collect()
    before = memory(_HELD)
    seconds, index = timed(lambda: read_lists(root, {"train": root / "train.csv"}, ListFormat()))
    gc.collect()
    held, most = memory(_HELD) - before, memory(_MOST) - before
    sending, sent = timed(lambda: pickle.loads(pickle.dumps(index, 5)))
    del sent
    names = index.splits["train"]
    held_out, splits = timed(lambda: hold_out(names, 0.1, 0))
    order, _ = timed(lambda: next(draw_places(number, 0, 0, 1)))
    digest, _ = timed(lambda: digest_of_rows((case, 1, index.clips.label(place)) for place, case in enumerate(names)))
    assert len(splits["train"]) + len(splits["validation"]) == number
    return [f"{one:.2f}" for one in (seconds, sending, held_out, order, digest)] + [f"{held:.0f}", f"{most:.0f}"]


def volumes(root: Path, number: int) -> list[str]:
    """Two starts on small volumes: the second finds them prepared."""
    import nibabel as nib
    import numpy as np
    import torch

    from medvid.data import file_hashes
    from medvid_nifti.config import NIfTIOptions
    from medvid_nifti.data import NIfTI

    torch.set_num_threads(1)
    file_hashes.SETTLED = -(10**6)  # the files were written just now
    random = np.random.default_rng(0)
    for one in range(number):
        image = random.integers(0, 100, (24, 24, 24), dtype=np.int16)
        label = np.zeros(image.shape, np.uint8)
        label[6:14, 6:14, 6:14] = 1
        for kind, array in (("img", image + 100 * label), ("label", label)):
            (root / "data" / kind).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), root / "data" / kind / f"c{one:05d}.nii.gz")

    def start() -> None:
        options = NIfTIOptions(
            root=root / "data",
            labels=("background", "cube"),
            spacing=None,
            cache=root / "cache",
            validation_fraction=0.1,
        )
        dataset = NIfTI(options)
        known = [case for names in dataset.splits.values() for case in names]
        dataset.prepare(known, lambda *_: None)
        for case in known:
            dataset.fingerprint(case)

    rows = [timed(start)[0] for _ in range(3)]
    size = sum(path.stat().st_size for path in (root / "cache" / "volumes").rglob("*.npy"))
    return [f"{rows[0]:.2f}", f"{rows[-1]:.2f}", f"{1e3 * rows[-1] / number:.2f}", f"{size / number / 24**3:.2f}"]


TABLES: dict[str, tuple[Callable[[Path, int], list[str]], Sequence[str]]] = {
    "cases": (cases, ["cases", "seconds", "ms each", "MB"]),
    "clips": (clips, ["clips", "read", "sent", "hold_out", "order", "digest", "MB", "MB at most"]),
    "volumes": (volumes, ["volumes", "first start", "second", "ms each", "bytes per voxel"]),
}


def row(table: str, number: int) -> list[str]:
    """A row, from a process of its own."""
    command = [sys.executable, __file__, "--row", table, str(number)]
    return list(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def up_to(most: int, smallest: int) -> list[int]:
    """Sizes by factors of ten, and the largest."""
    sizes = [smallest * 10**power for power in range(9) if smallest * 10**power < most]
    return [*sizes, most]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small data sets, to see that the script works")
    parser.add_argument("--cases", type=count, default=40_000)
    parser.add_argument("--clips", type=count, default=1_000_000)
    parser.add_argument("--volumes", type=count, default=1000)
    parser.add_argument("--row", nargs=2, metavar=("TABLE", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        table, number = arguments.row
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(TABLES[table][0](Path(folder), int(number))))
        return
    smallest = {"cases": 1000, "clips": 10_000, "volumes": 100}
    for name, (_, columns) in TABLES.items():
        sizes = [20, 40] if arguments.quick else up_to(getattr(arguments, name), smallest[name])
        print_table(columns, [[f"{size:,}", *row(name, size)] for size in sizes])
        print()


if __name__ == "__main__":
    main()
