"""Heads of voxels learn values on a common scale and answer in their units."""

import pytest
import torch

from medvid.config.examples import read_options
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.head import Head
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import HeadSpec

HOST = make_host()
SIZE = (8, 8)
SCALED = {"means": (30.0, 0.5), "deviations": (5.0, 0.1)}
HEADS = {
    "pixel": {},
    "unetr_decoder": {"feature_size": 4, "deep_supervision": True},
    "unet_decoder": {"deep_supervision": True},
    "cascaded_upsampler": {"head_channels": 4, "decoder_channels": [4], "deep_supervision": True},
}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


FEATURES = Features(tuple(noise(2, 4, 8 // n, 8 // n) for n in (1, 2, 4)))
INPUT = noise(2, 1, *SIZE)


def head(name: str, **scale: tuple[float, ...]) -> Head:
    options = read_options(HOST, HOST.spec(HeadSpec, name), {"loss": {"name": "mse"}, **HEADS[name]})
    torch.manual_seed(0)
    info = TargetInfo("voxel", "value", ("dose", "depth"), ("Gy", "mm"), has_unknown=True, **scale)
    maps = FeatureInfo(tuple(MapInfo(4, (n, n)) for n in (1, 2, 4)))
    return build_head(HOST.build, options, maps, InputInfo("image", 1, SIZE), info)


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_has_no_unit_and_the_answer_has_one(name: str) -> None:
    plain, scaled = head(name), head(name, **SCALED)
    assert plain.state_dict().keys() == scaled.state_dict().keys()
    means, deviations = (torch.tensor(SCALED[key]).view(-1, 1, 1) for key in ("means", "deviations"))
    target = noise(2, 2, *SIZE)
    target[0, 0, :3] = torch.nan
    in_units = target * deviations + means
    losses = [one.loss(one(FEATURES, INPUT), of)["loss"] for one, of in ((plain, target), (scaled, in_units))]
    assert torch.allclose(*losses, rtol=1e-4)
    answers = [one.eval()(FEATURES, INPUT) for one in (plain, scaled)]
    assert torch.allclose(answers[0] * deviations + means, answers[1], rtol=1e-4)
    assert answers[1].isfinite().all()
