"""JSON Schema of a task file, with the options of every enabled component, for editors."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from medvid.config.components import KINDS, generator_options_of, options_of
from medvid.config.evaluation import EVALUATION_OPTIONS
from medvid.config.task import Task
from medvid.errors import PluginError
from medvid.plugin.host import Host
from medvid.plugin.specs import ComponentSpec

logger = logging.getLogger("medvid")

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTIAL = ".partial"
"""Ends the name of a definition in which nothing is required, as in the sample overlay."""
_Spec = TypeVar("_Spec", bound=ComponentSpec)


def task_schema(host: Host) -> Schema:
    """The schema of a task file: each block is checked by the options of the component that it names."""
    components = {kind: _usable(host, host.specs(kind), options_of) for kind in KINDS}
    generators = _usable(host, [spec for spec in host.specs("dataset") if spec.sample], generator_options_of)
    models: list[type[BaseModel]] = [Task]
    models += [model for named in components.values() for model in named.values()]
    models += [*generators.values(), *EVALUATION_OPTIONS.values()]
    references, definitions = _definitions(models)

    task = definitions.pop(references[Task]["$ref"].rpartition("/")[2])
    properties = task["properties"]
    for kind, named in components.items():
        properties[kind] = _choice("oneOf", [_named(references[model], name) for name, model in named.items()])
    _open_inner_blocks(host, definitions, properties["backbone"].get("oneOf", []))
    properties["evaluation"] = _choice("anyOf", [references[model] for model in EVALUATION_OPTIONS.values()])
    sections = {section: properties[section] for section in (*KINDS, "train", "evaluation")}
    sections["generate"] = _choice("anyOf", [references[model] for model in generators.values()])
    overlay = _partial({"type": "object", "properties": sections, "additionalProperties": False})
    properties["sample"] = {
        "anyOf": [overlay, *properties["sample"]["anyOf"]],
        "description": "What `--sample` changes, or what runs where the data set is missing (dataset.if_missing).",
    }
    definitions |= {name + PARTIAL: _partial(definition) for name, definition in definitions.items()}
    return {"$schema": DIALECT, **task, "$defs": definitions}


def _usable(
    host: Host, specs: Iterable[_Spec], load: Callable[[Host, _Spec], type[BaseModel]]
) -> dict[str, type[BaseModel]]:
    """Options classes by the component's name; a plugin that fails is left out."""
    models = {}
    for spec in specs:
        try:
            models[spec.name] = load(host, spec)
        except PluginError as error:
            logger.warning("left out: %s", error)
    return models


def _definitions(models: list[type[BaseModel]]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """A reference to each model, and the definitions that they refer to, under names that are unique."""
    schemas, shared = models_json_schema([(model, "validation") for model in dict.fromkeys(models)])
    return {model: schema for (model, _), schema in schemas.items()}, shared["$defs"]


def _open_inner_blocks(host: Host, definitions: dict[str, Schema], backbones: list[Schema]) -> None:
    """Where a backbone runs another inside, that one's block is the block of any backbone of images."""
    specs = {spec.name: spec for spec in host.specs("backbone")}
    named = [(schema, specs[schema["properties"]["name"]["const"]]) for schema in backbones]
    images = [schema for schema, spec in named if "image" in spec.layouts]
    for schema, spec in named:
        if spec.inner:
            options = definitions[schema["$ref"].rpartition("/")[2]]["properties"]
            options[spec.inner] = {"description": options[spec.inner].get("description", ""), "oneOf": images}


def _choice(keyword: str, schemas: list[Schema]) -> Schema:
    return {keyword: schemas} if schemas else {"type": "object"}


def _named(reference: Schema, name: str) -> Schema:
    return {**reference, "properties": {"name": {"const": name}}, "required": ["name"]}


def _partial(schema: Any) -> Any:
    """A schema without what it requires: of alternatives that differ by their name, any may then be meant."""
    if isinstance(schema, list):
        return [_partial(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    partial = {key: _partial(value) for key, value in schema.items() if key not in ("required", "discriminator")}
    if "properties" in schema:
        partial["properties"] = {name: _partial(value) for name, value in schema["properties"].items()}
    if "oneOf" in partial:
        partial["anyOf"] = partial.pop("oneOf")
    if "$ref" in partial:
        partial["$ref"] += PARTIAL
    return partial
