"""The networks of the MedT family: shapes, patches and precisions. Numbers are compared in tests/parity."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from medvid.models.features import Features
from medvid.plugin.info import InputInfo
from medvid_medt.config import MedTOptions
from medvid_medt.model import LocalBranch, MedT

VARIANTS = ["medt", "logo", "gated", "axial"]
SMALL: dict[str, Any] = {"layers": (1, 2, 1, 1), "s": 0.0625, "groups": 4, "img_size": (64, 64)}


def build(*, channels: int = 3, **options: Any) -> MedT:
    torch.manual_seed(0)
    checked = MedTOptions.model_validate({"name": "medt"} | SMALL | options)
    return MedT(checked, InputInfo("image", channels, checked.img_size))


def local_branch(backbone: MedT) -> LocalBranch:
    assert backbone.local_branch is not None
    return backbone.local_branch


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("channels", "size", "grid"),
    [
        (3, (64, 64), (4, 4)),
        (1, (160, 160), (4, 4)),
        (2, (96, 64), (2, 4)),
        (3, (132, 36), (4, 4)),
        (3, (33, 70), (3, 2)),
    ],
)
def test_features_are_as_declared(variant: str, channels: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    backbone = build(variant=variant, channels=channels, img_size=size, patch_grid=grid)
    features, info = backbone(torch.rand(2, channels, *size)), backbone.feature_info
    strides = [(1, 1), (2, 2), (4, 4)] if variant in ("medt", "logo") else [(2**level,) * 2 for level in range(5)]
    assert [declared.stride for declared in info.maps] == strides
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid_of_map = [-(-length // stride) for length, stride in zip(size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid_of_map)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("part", ["finest map", "embedding"])
def test_every_parameter_gets_a_gradient(variant: str, part: str) -> None:
    backbone = build(variant=variant)
    features: Features = backbone(torch.rand(2, 3, 64, 64))
    output = features.maps[0] if part == "finest map" else features.embedding
    assert output is not None
    gradients = torch.autograd.grad(output.square().sum(), list(backbone.parameters()), allow_unused=True)
    without = [
        name
        for (name, _), grad in zip(backbone.named_parameters(), gradients, strict=True)
        if grad is None or not grad.any()
    ]
    assert without == []


def test_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"built for inputs of size \[64, 64\], not \[64, 128\]"):
        build()(torch.rand(1, 3, 64, 128))


@pytest.mark.parametrize("variant", ["medt", "logo"])
@pytest.mark.parametrize(("size", "grid"), [((256, 256), (4, 4)), ((96, 32), (3, 2))])
def test_patches_fill_the_image_and_do_not_see_each_other(
    variant: str, size: tuple[int, int], grid: tuple[int, int]
) -> None:
    local = local_branch(build(variant=variant, img_size=size, patch_grid=grid).eval())
    image = torch.rand(2, 3, *size)
    height, width = size[0] // grid[0], size[1] // grid[1]
    whole = local(image)
    for row in range(grid[0]):
        for column in range(grid[1]):
            here = (..., slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width))
            alone = local.network(image[here])[0]
            torch.testing.assert_close(whole[here], alone, atol=1e-5, rtol=1e-4)
            assert alone.any()


def test_the_bottom_right_of_a_large_image_reaches_the_map_through_its_patch() -> None:
    """The published code has local features in the upper left 128 x 128 pixels only."""
    backbone = build(img_size=(256, 256), layers=(1, 1, 1, 1)).eval().requires_grad_(requires_grad=False)
    for parameter in backbone.global_branch.parameters():
        parameter.zero_()
    image = torch.rand(1, 3, 256, 256).repeat(2, 1, 1, 1)
    image[1, :, 200:210, 200:210] += 1
    original, changed = backbone(image).maps[0]
    difference = (changed - original).abs().sum(dim=0)
    assert difference[193:255, 193:255].min().item() > 0
    assert difference[:191].max().item() == 0


@pytest.mark.parametrize("variant", ["medt", "logo"])
def test_orders_of_patches_agree_in_evaluation_but_not_in_training(variant: str) -> None:
    batched = build(variant=variant, img_size=(80, 80))
    sequential = build(variant=variant, img_size=(80, 80), local_order="sequential")
    image = torch.rand(2, 3, 80, 80)
    torch.testing.assert_close(sequential.eval()(image).maps[0], batched.eval()(image).maps[0], atol=1e-5, rtol=1e-4)
    difference = (sequential.train()(image).maps[0] - batched.train()(image).maps[0]).abs().max().item()
    assert difference > 0.01


def test_orders_of_patches_move_running_statistics_differently() -> None:
    batched, sequential = build(img_size=(80, 80)), build(img_size=(80, 80), local_order="sequential")
    image = torch.rand(2, 3, 80, 80)
    batched(image), sequential(image)
    counts = [
        {module.num_batches_tracked.item() for module in local_branch(backbone).modules() if is_norm(module)}
        for backbone in (batched, sequential)
    ]
    assert counts == [{1}, {16}]


def is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)


def test_sequential_training_is_one_position_of_all_images_after_the_other() -> None:
    local = local_branch(build(variant="logo", img_size=(80, 80), local_order="sequential")).train()
    by_hand = copy.deepcopy(local.network)
    image = torch.rand(2, 3, 80, 80)
    whole = local(image)
    for row in range(4):
        for column in range(4):
            here = (..., slice(20 * row, 20 * row + 20), slice(20 * column, 20 * column + 20))
            torch.testing.assert_close(by_hand(image[here])[0], whole[here])
    for name, buffer in local.network.named_buffers():
        torch.testing.assert_close(buffer, by_hand.get_buffer(name))


@pytest.mark.parametrize("variant", VARIANTS)
def test_precisions_and_memory_formats_agree(variant: str) -> None:
    backbone, image = build(variant=variant).eval(), torch.rand(2, 3, 64, 64)
    backbone(image)
    expected = backbone(image).maps[0]
    with torch.autocast("cpu", torch.bfloat16):
        low = backbone(image).maps[0]
    assert (low - expected).norm() < 0.05 * expected.norm()
    backbone.to(memory_format=torch.channels_last)
    last = backbone(image.to(memory_format=torch.channels_last)).maps[0]
    torch.testing.assert_close(last, expected, atol=1e-5, rtol=1e-5)
    double = backbone.double()(image.double()).maps[0]
    assert double.dtype == torch.float64
    torch.testing.assert_close(double, expected.double(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_a_shape(precision: str) -> None:
    """Single gradients of bfloat16 are noisy in so many BatchNorms; that they lead somewhere is what counts."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    target = torch.stack([(rows - shift) ** 2 + columns**2 < 0.3 for shift in (-0.4, 0, 0.4)])
    torch.manual_seed(0)
    model = nn.ModuleList([build(img_size=(32, 32), patch_grid=(2, 2)), nn.Conv2d(8, 2, 1)])
    image = target[:, None] * 0.3 + torch.rand(3, 3, 32, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model[1](model[0](image).maps[0])
        loss = nn.functional.cross_entropy(logits.float(), target.long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_initialisation_is_the_published_one() -> None:
    backbone = build(s=0.5, groups=8, variant="gated")
    state = backbone.state_dict()
    block = "global_branch.stages.2.0.height_attention."
    assert state[block + "qkv.weight"].std().item() == pytest.approx(256**-0.5, rel=0.02)
    assert state[block + "relative"].std().item() == pytest.approx((256 / 8) ** -0.5, rel=0.1)
    gates = [state[block + gate].item() for gate in ("f_qr", "f_kr", "f_sve", "f_sv")]
    assert gates == pytest.approx([0.1, 0.1, 0.1, 1.0])
