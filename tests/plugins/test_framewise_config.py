"""What the options of ViT, STAM and VTN accept, and how a task file nests one backbone in another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from medvid.config.checked import check_task
from medvid.config.load import dump_task, load_task
from medvid.config.schema import task_schema
from medvid.config.task import Task
from medvid.errors import ConfigError
from medvid.models.build import build_model, load_initial_weights
from medvid.plugin.host import Host, make_host
from medvid.plugin.info import InputInfo
from medvid.runs.weights import read_trained
from medvid_stam.config import STAMOptions
from medvid_vit.config import ViTOptions
from medvid_vtn.config import VTNOptions

CLIPS = """
from medvid.config.options import DatasetOptions
from medvid.plugin import DatasetSpec, hookimpl
from medvid.plugin.info import InputInfo, TargetInfo

class Options(DatasetOptions):
    def input_info(self):
        return InputInfo("video", 3, (4, 32, 48))
    def target_info(self):
        return TargetInfo("case", "class", ("left", "right"))

@hookimpl
def medvid_components():
    options = f"{__name__}:Options"
    yield DatasetSpec(name="toy_clips", target="x:X", config=options, axes="video", where="case", what=("class",))
"""

TASK = """\
name: nested
dataset: {name: toy_clips, root: .}
backbone:
  name: stam
  num_frames: 4
  num_layers: 1
  num_heads: 2
  frame:
    name: vit
    img_size: [32, 48]
    embed_dim: 12
    num_heads: 2
    depth: 2
head: {name: classification}
train: {steps: 1, batch_size: 1, optimizer: {name: sgd, lr: 0.1}}
"""


@pytest.fixture
def host(third_party: Any) -> Host:
    third_party.install("clips-plugin", CLIPS)
    return make_host(third_party.allow())


@pytest.fixture
def load(host: Host, tmp_path: Path) -> Callable[..., Task]:
    def write_and_load(text: str = TASK, **options: Any) -> Task:
        (tmp_path / "task.yaml").write_text(text)
        return load_task(tmp_path / "task.yaml", host, **options)

    return write_and_load


def vit(**options: Any) -> ViTOptions:
    return ViTOptions(**({"name": "vit", "img_size": (32, 48)} | options))


def stam(**options: Any) -> STAMOptions:
    return STAMOptions(**({"name": "stam", "num_frames": 4, "frame": vit()} | options))


def vtn(**options: Any) -> VTNOptions:
    return VTNOptions(**({"name": "vtn", "frame": vit()} | options))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (vit, {"img_size": (32, 40)}, r"img_size \[32, 40\] is not a multiple of patch_size \(16\)"),
        (vit, {"embed_dim": 100}, r"embed_dim \(100\) is not a multiple of num_heads \(12\)"),
        (vit, {"taps": (3, 12)}, r"below depth \(12\)"),
        (vit, {"taps": (6, 3)}, "ascend"),
        (vit, {"drop_path_rate": 1.0}, "less than 1"),
        (vit, {"weights": {"source": "hub", "path": "x.pt"}}, "'timm' or 'google_npz'"),
        (stam, {"frame": "vit"}, "a block can only be read with a host"),
        (stam, {"num_frames": 0}, "greater than 0"),
        (stam, {"weights": {"source": "timm", "path": "x.pt"}}, "'stam'"),
        (vtn, {"attention_window": 5}, r"attention_window \(5\) has to be even"),
        (vtn, {"attention_window": (4, 4)}, "has 2 windows, but there are 3 layers"),
        (vtn, {"max_position_embeddings": 2}, "greater than or equal to 3"),
    ],
)
def test_impossible_options_are_refused(make: Callable[..., Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**options)


def test_windows_are_of_layers() -> None:
    assert vtn(attention_window=6, num_hidden_layers=2).windows == (6, 6)
    assert vtn(attention_window=(2, 4, 8)).windows == (2, 4, 8)


@pytest.mark.parametrize(
    ("options", "size", "message"),
    [
        (vit(), (32, 32), r"img_size is \[32, 48\], but .* \[32, 32\]"),
        (stam(), (5, 32, 48), "num_frames is 4, but the data set gives clips of 5 frames"),
        (stam(), (4, 48, 32), r"its frame backbone 'vit': img_size is \[32, 48\], but .* \[48, 32\]"),
        (vtn(), (4, 48, 32), r"its frame backbone 'vit': img_size is \[32, 48\]"),
    ],
)
def test_inputs_of_another_size_are_refused(options: Any, size: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options.check_input(InputInfo("image" if len(size) == 2 else "video", 3, size))


def test_inputs_that_fit_are_accepted() -> None:
    vit().check_input(InputInfo("image", 1, (32, 48)))
    stam().check_input(InputInfo("video", 3, (4, 32, 48)))
    for frames in (1, 250):
        vtn().check_input(InputInfo("video", 3, (frames, 32, 48)))
    assert stam().frames_of_image() == 4


def test_a_nested_block_is_validated_by_its_own_options_and_survives_a_round_trip(load: Callable[..., Task]) -> None:
    task = load(overrides=["backbone.frame.taps=[0]"])
    assert isinstance(task.backbone, STAMOptions)
    assert isinstance(task.backbone.frame, ViTOptions)
    assert (task.backbone.frame.depth, task.backbone.frame.taps) == (2, (0,))
    again = load(dump_task(task))
    assert again == task
    assert isinstance(again.backbone, STAMOptions)
    assert type(again.backbone.frame) is ViTOptions


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth: 2", "deepth: 2", r"task.yaml:13:5: backbone.frame.deepth: unknown key; did you mean 'depth'\?"),
        ("depth: 2", "depth: two", r"task.yaml:13:5: backbone.frame.depth: "),
        ("name: vit", "name: vyt", r"task.yaml:9:5: backbone.frame.name: "),
        (
            "name: vit",
            "name: vtn",
            r"should be a backbone with 'image' among its axes; vtn has 'video'",
        ),
        ("num_heads: 2\n  frame", "heads: 2\n  frame", r"task.yaml:7:3: backbone.heads: unknown key"),
        (
            "  frame:\n    name: vit",
            "  farme:\n    name: vit",
            r"task.yaml:3:1: backbone.frame: missing",
        ),
    ],
)
def test_problems_are_reported_with_their_place(load: Callable[..., Task], old: str, new: str, message: str) -> None:
    assert old in TASK
    with pytest.raises(ConfigError, match=message):
        load(TASK.replace(old, new))


FRAMES = {
    "vit": "{name: vit, img_size: [32, 48], embed_dim: 16, num_heads: 2, depth: 1}",
    "transunet": "{name: transunet, img_size: [32, 48], hidden_size: 16, num_heads: 2, num_layers: 1, mlp_dim: 16, "
    "resnet: {num_layers: [1, 1, 1], width_factor: 0.5}}",
}


@pytest.mark.parametrize("outer", ["stam", "vtn"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_any_backbone_of_images_runs_inside(load: Callable[..., Task], host: Host, outer: str, frame: str) -> None:
    heads = {
        "stam": "num_frames: 4, num_layers: 1, num_heads: 2",
        "vtn": "num_hidden_layers: 1, num_attention_heads: 2, attention_window: 2",
    }
    head, _, tail = TASK.partition("backbone:")
    tail = tail[tail.index("head:") :]
    task = load(f"{head}backbone: {{name: {outer}, {heads[outer]}, frame: {frame}}}\n{tail}")
    model = build_model(check_task(task, host))
    assert type(model.backbone).__name__ == outer.upper()
    assert model.backbone.feature_info.embedding == 16
    assert all(info.stride[0] == 1 for info in model.backbone.feature_info.maps)


def test_the_frames_backbone_can_start_from_weights_of_its_own(
    load: Callable[..., Task], host: Host, tmp_path: Path
) -> None:
    bare = load()
    outer: Any = build_model(check_task(load(overrides=["seed=7"]), host)).backbone
    published = {name: tensor.contiguous() for name, tensor in outer.frame.state_dict().items()}  # our names are timm's
    save_file(published, tmp_path / "vit.safetensors")
    task = load(overrides=[f"backbone.frame.weights={{source: timm, path: {tmp_path / 'vit.safetensors'}}}"])
    checked = check_task(task, host)
    model = build_model(checked)
    (report,) = load_initial_weights(model, checked, read_trained)
    assert report.source == "timm"
    state, before = model.state_dict(), build_model(check_task(bare, host)).state_dict()
    for name, tensor in state.items():
        inner = name.removeprefix("backbone.frame.")
        assert torch.equal(tensor, published[inner] if inner != name else before[name]), name


def test_the_schema_offers_backbones_of_images_inside(host: Host) -> None:
    definition = task_schema(host)["$defs"]["STAMOptions"]
    frame = definition["properties"]["frame"]
    assert frame["description"].startswith("The backbone of images")
    names = [choice["properties"]["name"]["const"] for choice in frame["oneOf"]]
    assert {"vit", "transunet", "unetr"} <= set(names)
    assert not {"stam", "vtn"} & set(names)
    assert "frame" in definition["required"]
