"""Losses of a batch that two processes share: the gradient is that of the whole, and so are the logged means."""

import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file
from torch.testing import assert_close

SCRIPT = """
import sys
from dataclasses import replace
import torch
from safetensors.torch import save_file
from medvid.config.examples import read_options
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.plugin.specs import LossSpec

BLOCKS = {
    "dice of the batch": ("class", {"name": "dice_ce", "batch": True}),
    "mean over voxels": ("class", {"name": "dice_ce", "average": "voxels"}),
    "labels": ("labels", {"name": "tversky", "batch": True}),
    "sum": ("class", {"name": "sum", "parts": ["dice_ce", "ce", {"name": "focal", "class_weights": [1, 2, 5]}]}),
}
rank, folder = int(sys.argv[1]), sys.argv[2]
host = make_host()
generator = torch.Generator().manual_seed(0)
logits = torch.randn(5, 3, 4, 4, generator=generator, dtype=torch.float64)
unknown = torch.rand(5, 3, 4, 4, generator=generator) < 0.4
unknown[1], unknown[3:, 2] = True, True  # an example; and a label, in all examples of the second process
targets = {
    "class": torch.randint(3, (5, 4, 4), generator=generator).masked_fill(unknown[:, 0], UNKNOWN),
    "labels": torch.randint(2, (5, 3, 4, 4), generator=generator).float().masked_fill(unknown, UNKNOWN),
}

def gradient(name, part):  # of the part's loss, weighted as by the training loop, and the weighted loss itself
    what, block = BLOCKS[name]
    options = read_options(host, host.spec(LossSpec, block["name"]), block)
    loss = host.build(options, TargetInfo("voxel", what, ("a", "b", "c"), has_unknown=True)).double()
    output = logits[part].requires_grad_()
    losses = loss(output, targets[what][part])
    weight = losses.get("weight", torch.tensor(len(output), dtype=torch.float64))
    (found,) = torch.autograd.grad(losses["loss"] * weight, output)
    return found, torch.stack([losses["loss"].detach() * weight, weight])

whole = {name: gradient(name, slice(None)) for name in BLOCKS}
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
part, out = (slice(0, 3), slice(3, 5))[rank], {}
for name, (wanted, mean) in whole.items():
    found, sums = gradient(name, part)
    torch.distributed.all_reduce(sums)
    out |= {f"{name}: gradient": found / sums[1], f"{name}: loss": sums[0] / sums[1]}
    wanted = (wanted / mean[1])[part].contiguous()
    out |= {f"{name}: wanted gradient": wanted, f"{name}: wanted loss": mean[0] / mean[1]}
save_file(out, f"{folder}/{rank}.safetensors")
torch.distributed.barrier()  # a process that ends while the other still speaks to it may be aborted
torch.distributed.destroy_process_group()
"""


def test_of_two_processes(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", SCRIPT, str(rank), str(tmp_path)] for rank in range(2)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate(timeout=240)[1] for process in running]
    for process, words in zip(running, said, strict=True):
        assert process.returncode == 0, words
    for rank in range(2):
        found = load_file(tmp_path / f"{rank}.safetensors")
        names = [name for name in found if "wanted" not in name]
        assert len(names) == 8
        for name in names:
            assert_close(found[name], found[name.replace(": ", ": wanted ")], msg=f"{name} of process {rank}")
