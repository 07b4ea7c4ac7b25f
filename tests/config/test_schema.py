import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from medvid.config.schema import task_schema
from medvid.plugin.host import Host

TASK = YAML(typ="safe", pure=True).load(Path(__file__).parent / "toy.yaml")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_valid(value: Any, schema: Any, root: Any) -> bool:
    """Whether a value is valid, by the keywords of JSON Schema that decide it here."""

    def fits(option: Any) -> bool:
        return is_valid(value, option, root)

    return all(
        (
            "$ref" not in schema or fits(resolve(schema["$ref"], root)),
            "type" not in schema or has_type(value, schema["type"]),
            "const" not in schema or value == schema["const"],
            "enum" not in schema or value in schema["enum"],
            "anyOf" not in schema or any(map(fits, schema["anyOf"])),
            "oneOf" not in schema or sum(map(fits, schema["oneOf"])) == 1,
            not isinstance(value, dict) or is_valid_object(value, schema, root),
        )
    )


def is_valid_object(value: dict[str, Any], schema: Any, root: Any) -> bool:
    known = schema.get("properties", {})
    if schema.get("additionalProperties") is False and not set(value) <= set(known):
        return False
    if not set(schema.get("required", ())) <= set(value):
        return False
    return all(is_valid(item, known[key], root) for key, item in value.items() if key in known)


def has_type(value: Any, name: str) -> bool:
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def resolve(reference: str, root: Any) -> Any:
    schema = root
    for part in reference.removeprefix("#/").split("/"):
        schema = schema[part]
    return schema


@pytest.fixture
def schema(make_toy_host: Callable[..., Host]) -> Any:
    return task_schema(make_toy_host("clumsy", "gone", "unfit"))


def changed(**blocks: Any) -> Any:
    task = copy.deepcopy(TASK)
    for key, value in blocks.items():
        task[key] = value
    return task


@pytest.mark.parametrize(
    "task",
    [
        TASK,
        changed(backbone={"name": "othernet", "depth": 3}),
        changed(backbone={"name": "net", "weights": {"source": "hub", "path": "w.pt"}}),
        changed(demo=None),
        changed(head="pixel"),
        changed(demo={"applied": True, "generate": {"cases": 2}}),
        changed(demo={"backbone": {"width": 2}, "train": {"optimizer": {"lr": 1.0}, "steps": 3}}),
        changed(demo={"backbone": {"name": "othernet", "depth": 2}}),
    ],
)
def test_a_valid_task_is_valid(schema: Any, task: Any) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert is_valid(task, schema, schema)


@pytest.mark.parametrize(
    "task",
    [
        changed(backbone={"name": "net", "depth": 3}),  # an option of another backbone
        changed(backbone={"name": "other"}),
        changed(backbone={"width": 3}),
        changed(backbone={"name": "net", "weights": {"source": "hub"}}),
        changed(backbone={"name": "net", "weights": {"source": "elsewhere", "path": "w.pt"}}),
        changed(head=None),
        changed(head="pixl"),
        changed(dataset="scans"),  # which needs a folder
        changed(trian={}),
        changed(train={"steps": 3}),
        changed(demo={"train": {"stepz": 3}}),
        changed(demo={"trian": {}}),
        changed(demo={"generate": {"case": 3}}),
        changed(demo={"backbone": {"name": "othernet", "width": 2}}),
        changed(demo={"applied": False}),
    ],
)
def test_an_invalid_task_is_not(schema: Any, task: Any) -> None:
    assert not is_valid(task, schema, schema)


def test_options_keep_their_documentation(schema: Any) -> None:
    assert schema["$defs"]["TrainOptions"]["properties"]["ema"]["description"].startswith("Decay of an exponential")


def test_every_reference_resolves(schema: Any) -> None:
    def references(node: Any) -> list[str]:
        items = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = [node["$ref"]] if isinstance(node, dict) and "$ref" in node else []
        return own + [found for item in items for found in references(item)]

    assert references(schema)
    for reference in references(schema):
        assert isinstance(resolve(reference, schema), dict)


def test_a_component_that_fails_is_left_out(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="medvid"):
        schema = task_schema(host)
    names = [
        option["properties"]["name"]["const"]
        for option in schema["properties"]["backbone"]["oneOf"]
        if "properties" in option
    ]
    assert "net" in names
    assert "gone" not in names
    assert any("'gone' cannot be loaded" in record.getMessage() for record in caplog.records)
