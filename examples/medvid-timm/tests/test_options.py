"""What is refused, and by which sentence; and that all names of timm are known without importing it."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
import timm
import torch

from families import FAMILIES, SPECS, block, images
from medvid.config.examples import read_options
from medvid.errors import ConfigError
from medvid.models.backbone import Backbone
from medvid.plugin import InputInfo
from medvid.testing import host_with
from medvid_timm.config import ImageModelOptions, TimmOptions
from medvid_timm.measured import chosen, fit, stride
from medvid_timm.names import model_names

HOST = host_with(*SPECS.values())
VIT = "vit_tiny_patch16_224"


def test_all_models_of_timm_are_known() -> None:
    assert model_names() >= set(timm.list_models())
    assert "tnt_s_legacy_patch16_224" in model_names()


def test_checking_a_name_imports_neither_timm_nor_torch() -> None:
    code = (
        "import sys; from medvid_timm.config import TimmOptions; TimmOptions(name='timm', model='convnext_tiny'); "
        "assert not {'timm', 'torch', 'numpy'} & set(sys.modules)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "swin_tini_patch4_window7_224"}, "did you mean 'swin_tiny_patch4_window7_224'"),
        ({"model": VIT, "model_args": {"num_classes": 3}}, "model_args: num_classes follows from the data set"),
        ({"model": VIT, "model_args": {"img_size": 64}}, "img_size is an option of the backbone itself"),
        ({"model": VIT, "out_indices": []}, "names no map"),
        ({"model": VIT, "drop_rate": 1.0}, "drop_rate"),
        ({"model": VIT, "pretrained": True, "weights": {"source": "timm", "path": "x.pth"}}, "set one of them"),
        ({"model": VIT, "weights": {"source": "hub", "path": "x.pth"}}, "weights.source"),
    ],
)
def test_wrong_options_of_timm_are_refused_when_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(HOST, SPECS["timm"], options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "pit"}, "should be 'deepvit', 't2t_vit', 'cvt' or 'local_vit'"),
        ({"model": "cvt", "model_args": {"pool": "mean"}}, "model_args: pool cannot be set"),
        ({"model": "cvt", "weights": {"source": "timm", "path": "x.pth"}}, "weights"),
    ],
)
def test_wrong_options_of_vit_pytorch_are_refused_when_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(HOST, SPECS["vit_pytorch"], options)
    assert message in str(caught.value)


def test_inputs_of_another_size_are_refused_when_checked() -> None:
    options = _read("timm", model=VIT, img_size=[64, 48])
    options.check_input(InputInfo("image", 3, (64, 48)))
    with pytest.raises(ValueError, match=r"img_size is \[64, 48\].*of size \[48, 64\]"):
        options.check_input(InputInfo("image", 3, (48, 64)))
    with pytest.raises(ValueError, match=r"deepvit takes square inputs.*\[64, 48\]"):
        _read("vit_pytorch", model="deepvit").check_input(InputInfo("image", 3, (64, 48)))
    _read("vit_pytorch", model="cvt").check_input(InputInfo("image", 3, (64, 48)))


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        ((48, 48), {"model": VIT, "model_args": {"depht": 2}}, "unexpected keyword argument 'depht'"),
        ((50, 50), {"model": VIT}, r"vit_tiny_patch16_224 cannot take inputs of size [50, 50]"),
        ((64, 64), {"model": "halonet26t"}, "halonet26t cannot take inputs of size [64, 64]"),
        ((48, 48), {"model": VIT, "out_indices": [1, 12]}, "map 12 of vit_tiny_patch16_224, which has 12"),
        ((48, 48), {"model": VIT, "model_args": {"global_pool": ""}}, "embedding of shape [2, 10, 192]"),
        ((48, 48), {"model": f"{VIT}.no_such_tag"}, "no_such_tag"),
    ],
)
def test_what_only_timm_knows_is_refused_when_built(
    size: tuple[int, int], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _build("timm", InputInfo("image", 3, size), **options)
    assert message in str(caught.value)


def test_vit_pytorch_refuses_what_it_has_not() -> None:
    pytest.importorskip("vit_pytorch")
    with pytest.raises(ConfigError, match=r"cannot build deepvit .*'head'"):
        _build("vit_pytorch", InputInfo("image", 3, (48, 48)), model="deepvit", model_args={"head": 2})


def test_models_built_for_a_size_refuse_others_and_the_rest_take_them() -> None:
    fixed = _build("timm", InputInfo("image", 3, (48, 64)), model=VIT, model_args={"depth": 1})
    assert fixed(torch.zeros(1, 3, 48, 64)).maps[0].shape == (1, 192, 3, 4)
    with pytest.raises(ValueError, match=r"built for inputs of size \[48, 64\], not \[64, 48\]"):
        fixed(torch.zeros(1, 3, 64, 48))
    free = _build("timm", InputInfo("image", 3, (64, 64)), model="test_efficientnet")
    assert [item.shape[2:] for item in free(torch.zeros(1, 3, 40, 50)).maps][:2] == [(20, 25), (10, 13)]
    dynamic = _build(
        "timm", InputInfo("image", 3, (48, 48)), model=VIT, model_args={"depth": 1, "dynamic_img_size": True}
    )
    assert dynamic(torch.zeros(1, 3, 64, 48)).maps[0].shape == (1, 192, 4, 3)


def test_a_size_that_a_model_without_grid_cannot_take_is_named() -> None:
    family = FAMILIES["HaloNet"]
    backbone = HOST.build(_read("timm", model=family.model), images(family))
    with pytest.raises(ValueError, match=r"halonet26t cannot take inputs of size \[64, 64\]"):
        backbone(torch.zeros(1, 3, 64, 64))


def test_rates_reach_the_model() -> None:
    backbone = _build(
        "timm", InputInfo("image", 3, (48, 48)), model=VIT, drop_rate=0.3, drop_path_rate=0.2, model_args={"depth": 3}
    )
    drops = {name: module for name, module in backbone.named_modules() if "drop" in name}
    assert drops["model.head_drop"].p == 0.3
    assert [drops[f"model.blocks.{index}.drop_path1"].drop_prob for index in (1, 2)] == pytest.approx([0.1, 0.2])


def test_maps_can_be_chosen() -> None:
    family = FAMILIES["PVTv2"]
    backbone = HOST.build(_options(block(family) | {"out_indices": [-1, 1]}), images(family))
    assert [item.stride for item in backbone.feature_info.maps] == [(8, 8), (32, 32)]


def test_default_maps() -> None:
    assert chosen(None, [16] * 12, "a ViT") == [2, 5, 8, 11]
    assert chosen(None, [16, 16], "a small ViT") == [0, 1]
    assert chosen(None, [2, 4, 8], "a CNN") == [0, 1, 2]
    assert chosen(None, [12, 12, 17, 17], "a CrossViT") == [1, 3]


def test_strides_of_maps_that_no_whole_number_leads_to() -> None:
    assert stride(224, 27, 8) == 8
    assert stride(224, 14, 8) == 16  # the author is wrong
    assert stride(31, 2, 16) == 16
    assert fit(torch.zeros(1, 1, 27, 27), (224, 224), (8, 8)).shape == (1, 1, 28, 28)
    whole = torch.zeros(1, 1, 14, 14)
    assert fit(whole, (224, 224), (16, 16)) is whole


@pytest.mark.skipif(not find_spec("vit_pytorch"), reason="vit-pytorch is not installed")
def test_the_models_of_vit_pytorch_by_default() -> None:
    """In millions of parameters."""
    sizes, maps = {}, {}
    for model in ("deepvit", "t2t_vit", "local_vit", "cvt"):
        backbone = _build("vit_pytorch", InputInfo("image", 3, (224, 224)), model=model)
        sizes[model] = round(sum(parameter.numel() for parameter in backbone.parameters()) / 1e6, 1)
        maps[model] = [(item.channels, item.stride[0]) for item in backbone.feature_info.maps]
    assert sizes == {"deepvit": 24.0, "t2t_vit": 34.2, "local_vit": 12.7, "cvt": 19.6}
    assert maps == {
        "deepvit": [(384, 16)] * 4,
        "t2t_vit": [(384, 16)] * 4,
        "local_vit": [(192, 16)] * 4,
        "cvt": [(64, 4), (192, 8), (384, 16)],
    }


def _read(name: str, **options: object) -> ImageModelOptions:
    return _options({"name": name, **options})


def _options(options: dict[str, object]) -> ImageModelOptions:
    validated = read_options(HOST, SPECS[str(options["name"])], options)
    assert isinstance(validated, ImageModelOptions)
    assert isinstance(validated, TimmOptions) == (validated.name == "timm")
    return validated


def _build(name: str, info: InputInfo, **options: object) -> Backbone:
    return HOST.build(_read(name, **options), info)
