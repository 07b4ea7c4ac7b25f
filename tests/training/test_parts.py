"""A step's gradient does not depend on how its batch is split up into parts and among processes."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.losses.dice import DiceCE
from medvid.losses.options import CrossEntropyOptions, DiceCEOptions
from medvid.models.backbone import Backbone
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, InputInfo, TargetInfo
from medvid.training.loop import Trainer
from medvid.training.optimizers.options import SGDOptions
from medvid.training.parts import separate_gradients
from medvid_heads.config import LinearClassifierOptions
from medvid_mvit.config import MViTOptions
from medvid_mvit.model import MViT

HOST = make_host()

LABELS = ("a", "b", "c")
CLOSE: Any = {"rtol": 1e-4, "atol": 1e-7}
"""Fabric hands on logits in float32; all else is in float64."""


class Pixels(Backbone):
    """(B, 2, 4, 3) to a map of the same size, and its mean."""

    feature_info = FeatureInfo(maps=(MapInfo(5, (1, 1)),), embedding=5)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1)

    def forward(self, input: Tensor) -> Features:
        x = self.conv(input).tanh()
        return Features((x,), x.mean((2, 3)))


class PixelHead(Head):
    def __init__(self, loss: DiceCEOptions) -> None:
        super().__init__()
        self.criterion = DiceCE(loss, TargetInfo("voxel", "class", LABELS))
        self.conv = nn.Conv2d(5, len(LABELS), 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002 (the contract of heads)
        out: Tensor = self.conv(features.maps[0])
        return out


class Quiet:
    def __init__(self) -> None:
        self.losses: dict[str, float] = {}

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002
        self.losses = losses

    def saved(self, *_: object) -> None: ...


def classifier(**loss: Any) -> Head:
    options = LinearClassifierOptions(name="classification", loss=CrossEntropyOptions(**loss))
    target = TargetInfo("case", "class", LABELS)
    return build_head(HOST.build, options, FeatureInfo(embedding=5), InputInfo("image", 2, (4, 3)), target)


def segmenter(**loss: Any) -> Head:
    return PixelHead(DiceCEOptions(**loss))


def one_step(model: Model, parts: Sequence[Batch], **changes: Any) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The change of the weights by one step of rate 1, which is the gradient, and what was logged."""
    recipe = {"steps": 1, "batch_size": 1, "channels_last": False, "accumulate": len(parts), **changes}
    recipe["optimizer"] = SGDOptions(lr=1.0, momentum=0.0)
    before = {name: value.detach().clone().double() for name, value in model.named_parameters()}
    fabric, quiet = Fabric(accelerator="cpu", precision="64-true"), Quiet()
    options, axes = TrainOptions.model_validate(recipe), parts[0].input.ndim - 2
    trainer = Trainer(fabric, model, options, seed=0, spatial_axes=axes, build=HOST.build)
    trainer.fit(iter(parts), 1, quiet, lambda: False)
    return {name: before[name] - value.detach() for name, value in model.named_parameters()}, quiet.losses


def make(head: Head) -> Model:
    torch.manual_seed(0)
    model = Model(Pixels(), head)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def split(whole: Batch, sizes: Sequence[int]) -> list[Batch]:
    tensors = (torch.split(tensor, list(sizes)) for tensor in (whole.input, whole.target))
    return [Batch(*part, ("case",) * len(part[0])) for part in zip(*tensors, strict=True)]


def joined(*parts: Batch) -> Batch:
    tensors = (torch.cat(tensors) for tensors in zip(*((part.input, part.target) for part in parts), strict=True))
    return Batch(*tensors, sum((part.cases for part in parts), ()))


def batch(size: int, seed: int, *, dense: bool) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    shape = (4, 3) if dense else ()
    target = torch.randint(3, (size, *shape), generator=generator)
    return Batch(torch.randn(size, 2, 4, 3, generator=generator, dtype=torch.float64), target, ("case",) * size)


SIZES = st.lists(st.integers(1, 3), min_size=1, max_size=4)
WEIGHTS = st.lists(st.floats(0.01, 100), min_size=3, max_size=3)


@settings(max_examples=20, deadline=None)
@given(SIZES, st.integers(0, 99), st.none() | WEIGHTS, st.sampled_from([0.0, 0.1]), st.sampled_from([None, 1e-3]))
def test_of_any_split_of_a_classified_batch(
    sizes: list[int], seed: int, weights: list[float] | None, smoothing: float, clip: float | None
) -> None:
    whole = batch(sum(sizes), seed, dense=False)
    loss = {"class_weights": weights, "label_smoothing": smoothing}
    wanted, logged = one_step(make(classifier(**loss)), [whole], clip_norm=clip)
    found, logged_of_parts = one_step(make(classifier(**loss)), split(whole, sizes), clip_norm=clip)
    torch.testing.assert_close(found, wanted, **CLOSE)
    assert logged_of_parts == pytest.approx(logged, rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(SIZES, st.integers(0, 99), st.booleans(), st.booleans())
def test_of_any_split_of_a_segmented_batch(sizes: list[int], seed: int, background: bool, squared: bool) -> None:
    whole, loss = batch(sum(sizes), seed, dense=True), {"include_background": background, "squared_pred": squared}
    wanted, logged = one_step(make(segmenter(**loss)), [whole])
    found, logged_of_parts = one_step(make(segmenter(**loss)), split(whole, sizes))
    torch.testing.assert_close(found, wanted, **CLOSE)
    assert logged_of_parts == pytest.approx(logged, rel=1e-5)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_without_any_annotation_learns_nothing(dense: bool, parts: int) -> None:
    target = TargetInfo("voxel" if dense else "case", "class", LABELS, has_unknown=True)
    head = PixelHead(DiceCEOptions()) if dense else classifier()
    head.criterion = HOST.build(DiceCEOptions() if dense else CrossEntropyOptions(), target)
    whole = batch(2, 0, dense=dense)
    whole = replace(whole, target=torch.full_like(whole.target, UNKNOWN))
    changes, logged = one_step(make(head), split(whole, [2 // parts] * parts))
    assert not any(change.any() for change in changes.values())
    assert logged["loss"] == 0


def test_class_weights_count_at_batch_size_1() -> None:
    parts = split(batch(4, 3, dense=False), [1] * 4)
    plain, weighted = (one_step(make(classifier(**loss)), parts)[0] for loss in ({}, {"class_weights": [1, 1, 50]}))
    assert {int(part.target) for part in parts} >= {2}
    assert not torch.allclose(plain["head.classifier.bias"], weighted["head.classifier.bias"], rtol=0.1)


@pytest.mark.parametrize("clip", [None, 0.01])
def test_of_an_mvit_whose_class_token_and_position_have_one_gradient(clip: float | None) -> None:
    """In a batch of one example they are views of one tensor."""
    options = MViTOptions(
        name="mvit", embed_dim=8, num_heads=1, depth=1, dim_mul=[], head_mul=[], pool_q_stride=[], cls_embed_on=True
    )

    def model() -> Model:
        torch.manual_seed(0)
        backbone = MViT(options, InputInfo("video", 1, (4, 8, 8)))
        head = build_head(
            HOST.build,
            LinearClassifierOptions(name="classification"),
            backbone.feature_info,
            InputInfo("video", 1, (4, 8, 8)),
            TargetInfo("case", "class", LABELS),
        )
        return Model(backbone, head)

    clips = torch.randn(3, 1, 4, 8, 8, dtype=torch.float64)
    whole = Batch(clips, torch.tensor([0, 1, 2]), ("a", "b", "c"))
    wanted, _ = one_step(model(), [whole], clip_norm=clip)
    found, _ = one_step(model(), split(whole, [1, 1, 1]), clip_norm=clip)
    assert "backbone.patch_embedding.class_position" in wanted
    torch.testing.assert_close(found, wanted, **CLOSE)
    [alone] = split(whole, [1, 2])[:1]
    unclipped, _ = one_step(model(), [alone])
    norm = torch.stack([value.norm() for value in unclipped.values()]).norm()
    clipped, _ = one_step(model(), [alone], clip_norm=0.01)
    torch.testing.assert_close(clipped, {name: 0.01 / norm * value for name, value in unclipped.items()})


def test_gradients_that_share_memory_are_told_apart() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Parameter(torch.zeros(1, 3)), nn.Parameter(torch.zeros(1, 3))

    pair = Pair()
    rest = torch.zeros(1, 5)
    (torch.cat([pair.first, rest], 1) + torch.cat([pair.second, rest], 1)).square().add(1).sqrt().sum().backward()
    shared = torch.arange(3.0).view(1, 3)
    pair.first.grad, pair.second.grad = shared, shared.view(1, 3)
    separate_gradients(pair.parameters())
    pair.first.grad.mul_(2)
    assert pair.second.grad.tolist() == [[0, 1, 2]]


def test_gradients_beside_each_other_in_a_bucket_stay_there() -> None:
    bucket = torch.arange(12.0)
    parameters = [nn.Parameter(torch.zeros(size)) for size in (4, 2, 6, 3)]
    views = [bucket[:4], bucket[4:6], bucket[6:], bucket[3:6]]
    for parameter, view in zip(parameters, views, strict=True):
        parameter.grad = view
    separate_gradients(reversed(parameters))
    within = [parameter.grad.untyped_storage().data_ptr() == bucket.data_ptr() for parameter in parameters]
    assert within == [True, True, True, False]
    assert [parameter.grad.tolist() for parameter in parameters] == [view.tolist() for view in views]


SCRIPT = """
import sys
import time
from datetime import timedelta
from dataclasses import replace
from pathlib import Path
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from medvid.config.task import TrainOptions
from medvid.errors import DistributedError
from medvid.training.loop import Trainer
from medvid.devices.waiting import wait_for_all
sys.path.insert(0, {folder!r})
from test_parts import HOST, Quiet, SGDOptions, batch, classifier, make, segmenter, split

out = Path(sys.argv[1])
fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="64-true")
fabric.launch()
rank = fabric.global_rank
recipe = {{"steps": 1, "batch_size": 1, "channels_last": False, "accumulate": 2, "clip_norm": 0.5}}
recipe["optimizer"] = SGDOptions(lr=1.0, momentum=0.0)
parts = split(batch(8, 5, dense=False), [1, 3, 2, 2])
barriers = []
barrier, torch.distributed.barrier = torch.distributed.barrier, lambda *_, **__: barriers.append(1)
for name in ("plain", "normed", "parted"):
    model = make(classifier(class_weights=[1.0, 5.0, 40.0]))
    if name != "plain":
        model.backbone.conv = torch.nn.Sequential(model.backbone.conv, torch.nn.BatchNorm2d(5))
    options = TrainOptions.model_validate(recipe | {{"sync_batchnorm": name != "parted"}})
    trainer = Trainer(fabric, model, options, seed=0, spatial_axes=2, build=HOST.build)
    trainer.fit(iter(parts[2 * rank : 2 * rank + 2]), 1, Quiet(), lambda: False)
    save_file(model.state_dict(), out / f"{{name}}-{{rank}}.safetensors")
assert not barriers  # in each, NCCL's host waits for the device
torch.distributed.barrier = barrier
recipe["accumulate"] = 1
model, parts = make(segmenter(batch=True)), split(batch(4, 5, dense=True), [1, 3])
trainer = Trainer(fabric, model, TrainOptions.model_validate(recipe), seed=0, spatial_axes=2, build=HOST.build)
trainer.fit(iter(parts[rank:]), 1, Quiet(), lambda: False)
save_file(model.state_dict(), out / f"dice-{{rank}}.safetensors")
model = make(segmenter())
model.backbone.unused = torch.nn.Linear(2, 2)
trainer = Trainer(fabric, model, TrainOptions.model_validate(recipe), seed=0, spatial_axes=2, build=HOST.build)
before = [parameter.clone() for parameter in model.parameters()]
try:
    trainer.fit(iter(parts[rank:]), 1, Quiet(), lambda: False)
except DistributedError as error:
    (out / f"refused-{{rank}}.txt").write_text(f"{{error}}; {{error.hint}}")
assert all(map(torch.equal, before, model.parameters()))
# A wait may take longer than the limit of a step's exchanges.
torch.distributed.distributed_c10d._set_pg_timeout(timedelta(seconds=1), None)
if rank == 0:
    time.sleep(2)
wait_for_all()
"""


def test_of_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uneven parts, class weights and clipping; batch norms; one Dice of all; a parameter without a gradient."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent)))
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=240, capture_output=True)
    states = {path.stem: load_file(path) for path in tmp_path.glob("*.safetensors")}
    assert len(states) == 8
    for name in ("plain", "normed", "parted", "dice"):
        first, second = states[f"{name}-0"], states[f"{name}-1"]
        assert all(torch.equal(value, second[key]) for key, value in first.items())
    model = make(classifier(class_weights=[1.0, 5.0, 40.0]))
    model.backbone.conv = nn.Sequential(model.backbone.conv, nn.BatchNorm2d(5))
    first, second, third, fourth = split(batch(8, 5, dense=False), [1, 3, 2, 2])
    one_step(model, [joined(first, third), joined(second, fourth)], clip_norm=0.5)
    torch.testing.assert_close(states["normed-0"], dict(model.state_dict()), **CLOSE)
    assert not torch.equal(*(states[f"{name}-0"]["backbone.conv.1.running_var"] for name in ("normed", "parted")))
    model = make(classifier(class_weights=[1.0, 5.0, 40.0]))
    one_step(model, [batch(8, 5, dense=False)], clip_norm=0.5)
    torch.testing.assert_close(states["plain-0"], dict(model.state_dict()), **CLOSE)
    model = make(segmenter(batch=True))
    one_step(model, [batch(4, 5, dense=True)], clip_norm=0.5)
    torch.testing.assert_close(states["dice-0"], dict(model.state_dict()), **CLOSE)
    for rank in range(2):
        refused = (tmp_path / f"refused-{rank}.txt").read_text()
        assert "did not depend on backbone.unused.weight, backbone.unused.bias" in refused
        assert "--set train.strategy=ddp_find_unused" in refused
