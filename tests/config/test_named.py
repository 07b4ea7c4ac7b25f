"""Blocks that name components, of any kind, wherever they stand."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from medvid.config.components import options_in
from medvid.config.load import dump_task, load_task
from medvid.config.schema import task_schema
from medvid.config.task import Task
from medvid.errors import ConfigError, PluginError
from medvid.losses.plugin import medvid_components
from medvid.plugin import BackboneSpec, LossSpec, TargetInfo
from medvid.plugin.host import Host
from medvid.plugin.kinds import KINDS
from medvid.plugin.specs import load_attribute

TASK = """
name: toy
dataset: {name: scans, root: data}
head: pixel
train: {steps: 1, batch_size: 1, optimizer: {name: adam, lr: 1}}
backbone:
  name: outer
"""


def _spec(kind: type, name: str, **more: Any) -> Any:
    config = {"unfit": "Gap"}.get(name, name.capitalize())
    return kind(name=name, target=f"toy_targets:{name.capitalize()}", config=f"toy_nested:{config}Options", **more)


SPECS = (
    _spec(BackboneSpec, "outer", axes=("volume",), features=()),
    *(_spec(LossSpec, name, what=("value",)) for name in ("gap", "total", "unfit")),
)
LOSSES = sorted(spec.name for spec in (*SPECS, *medvid_components()) if spec.kind == "loss")
TARGET = TargetInfo("case", "class", ("a", "b"))


@pytest.fixture
def host(make_toy_host: Callable[..., Host]) -> Host:
    return make_toy_host("clumsy", "gone", "unfit", more=SPECS)


@pytest.fixture
def load(host: Host, tmp_path: Path) -> Callable[..., Task]:
    def write_and_load(lines: str = "", **options: Any) -> Task:
        path = tmp_path / "task.yaml"
        path.write_text(TASK + lines)
        return load_task(path, host, **options)

    return write_and_load


def names(task: Task) -> list[tuple[str, str]]:
    return [(options.kind, options.name) for options in options_in(task.backbone)]


def test_every_row_of_the_table_leads_to_what_it_names() -> None:
    for name, kind in KINDS.items():
        assert kind.name == kind.spec.kind == name
        assert load_attribute(kind.options).kind == name
        assert isinstance(load_attribute(kind.target), type)
        assert load_attribute(kind.kit).checks


def test_a_default_needs_no_block_and_no_host(load: Callable[..., Task]) -> None:
    assert names(load()) == [("backbone", "outer"), ("loss", "gap")]


def test_blocks_stand_in_blocks_and_lists(load: Callable[..., Task]) -> None:
    task = load(
        "  loss: {name: total, terms: [gap, {name: gap, weight: 3}, {name: total}]}\n  frame: {name: flat, width: 4}\n"
    )
    assert names(task) == [
        ("backbone", "outer"), ("loss", "total"), ("loss", "gap"), ("loss", "gap"), ("loss", "total"), ("loss", "gap"),
        ("backbone", "flat"),
    ]  # fmt: skip
    backbone: Any = task.backbone
    assert [term.model_dump() for term in backbone.loss.terms[:2]] == [{"name": "gap", "weight": w} for w in (1, 3)]
    assert backbone.frame.width == 4


def test_they_are_dumped_whole_and_read_back_equal(load: Callable[..., Task], host: Host, tmp_path: Path) -> None:
    task = load("  loss: {name: total, terms: [{name: gap, weight: 3}]}\n  frame: flat\n")
    (tmp_path / "again.yaml").write_text(dump_task(task))
    assert load_task(tmp_path / "again.yaml", host) == task


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "loss: gapp",
            f"8:3: backbone.loss.name: no loss named 'gapp'; did you mean 'gap'? enabled: {', '.join(LOSSES)}",
        ),
        ("loss: [gap]", "8:3: backbone.loss: should be a block of options with a name, got ['gap']"),
        ("loss: {weight: 1}", "8:3: backbone.loss.name: should name a loss, one of: gap"),
        ("loss: {wait: 1}", f"8:3: backbone.loss.name: should name a loss, one of: {', '.join(LOSSES)}"),
        ("loss: {name: gap, weigth: 1}", "8:21: backbone.loss.weigth: unknown key; did you mean 'weight'?"),
        ("loss: {name: gap, weight: true}", "8:21: backbone.loss.weight: should not be true"),
        ("loss: {name: flat}", "8:10: backbone.loss.name: 'flat' is a backbone, not a loss"),
        ("loss:\n    name: total\n    terms: [gap, {name: gap, weight: -1}]", "10:30: backbone.loss.terms.1.weight: "),
        ("frame: net", "8:3: backbone.frame.name: should be a backbone with 'image' among its axes; net has 'volume'"),
        ("frame: {name: flat, sizes: [1, x]}", "8:34: backbone.frame.sizes.1: should be a whole number, got 'x'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(load: Callable[..., Task], lines: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"task.yaml:{said}")):
        load(f"  {lines}")


def test_an_option_of_a_default_needs_its_name_too(load: Callable[..., Task]) -> None:
    with pytest.raises(ConfigError, match=r"backbone\.loss\.name: should name a loss, one of: gap") as caught:
        load(overrides=["backbone.loss.weight=5"])
    assert "write {name: 'gap', weight: 5}, or name it by another --set" in caught.value.hint
    task: Any = load(overrides=["backbone.loss.weight=5", "backbone.loss.name=gap"])
    assert task.backbone.loss.weight == 5


def test_all_that_is_wrong_comes_at_once(load: Callable[..., Task]) -> None:
    with pytest.raises(ConfigError, match="3 problems") as caught:
        load("  loss: {name: total, terms: [gup, {name: gap, weight: 0}]}\n  frame: {name: flat, depth: 1}\n")
    for key in ("loss.terms.0.name", "loss.terms.1.weight", "frame.depth"):
        assert f"backbone.{key}: " in str(caught.value), key


def test_options_on_top_of_a_bare_name_are_of_that_component(load: Callable[..., Task]) -> None:
    task: Any = load("  loss: gap\n", overrides=["backbone.loss.weight=5"])
    assert task.backbone.loss.weight == 5


def test_without_a_host_a_block_cannot_be_read() -> None:
    outer = load_attribute("toy_nested:OuterOptions")
    assert outer(loss=outer().loss) == outer()
    with pytest.raises(ValidationError, match="a block can only be read with a host"):
        outer(loss={"name": "gap"})


def test_a_component_builds_those_that_its_options_name(load: Callable[..., Task], host: Host) -> None:
    task: Any = load("  loss: {name: total, terms: [{name: gap, weight: 2}, {name: total}]}\n")
    loss = host.build(task.backbone.loss, TARGET)
    assert loss.terms[0].labels == TARGET.names
    assert float(loss(torch.ones(3), torch.zeros(3))["loss"]) == 3


def test_what_is_built_is_of_its_kind(load: Callable[..., Task], host: Host) -> None:
    task: Any = load("  loss: unfit\n")
    with pytest.raises(
        PluginError, match=r"plugin toy of toy 1\.0: toy_targets:Unfit is not a medvid\.losses\.loss\.Loss"
    ):
        host.build(task.backbone.loss, TARGET)


def test_the_schema_has_the_blocks_and_the_names_that_may_stand_alone(host: Host) -> None:
    options = task_schema(host)["$defs"]["OuterOptions"]["properties"]
    *blocks, alone = options["loss"]["oneOf"]
    assert [block["properties"]["name"]["const"] for block in blocks] == LOSSES
    assert alone == {"enum": [name for name in LOSSES if name != "sum"]}  # it needs its parts
    image, none = options["frame"]["anyOf"]
    assert image["oneOf"][-1] == {"enum": ["both", "flat"]}
    assert none == {"type": "null"}
