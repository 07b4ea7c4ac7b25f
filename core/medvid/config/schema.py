"""JSON Schema of a task file, with the options of every enabled component, for editors."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from medvid.config.components import generator_options_of, options_of
from medvid.config.demo import DemoOverlay
from medvid.config.evaluation import EVALUATION_OPTIONS
from medvid.config.named import MARKER, Named
from medvid.config.task import Task
from medvid.errors import PluginError
from medvid.plugin.host import Host
from medvid.plugin.kinds import KINDS
from medvid.plugin.specs import ComponentSpec, DatasetSpec

logger = logging.getLogger("medvid")

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTIAL = ".partial"
"""Ends the name of a definition in which nothing is required, as in the demo overlay."""
_Spec = TypeVar("_Spec", bound=ComponentSpec)


def task_schema(host: Host) -> Schema:
    """The schema of a task file: each block is checked by the options of the component that it names."""
    components = {name: _usable(host, host.specs(kind.spec), options_of) for name, kind in KINDS.items()}
    generators = _usable(host, [spec for spec in host.specs(DatasetSpec) if spec.demo], generator_options_of)
    models: list[type[BaseModel]] = [Task, *EVALUATION_OPTIONS.values()]
    models += [model for named in (*components.values(), generators) for model in named.values()]
    references, definitions = _definitions(models)

    def blocks(kind: str, wanted: Mapping[str, str]) -> Schema:
        """The block of any component of a kind that is as wanted, or its name alone where that will do."""
        named, place = components[kind], Named(kind, **wanted)
        fitting = {name: named[name] for name in named if place.takes(host.spec(KINDS[kind].spec, name))}
        alone = [name for name, model in fitting.items() if _required(model) <= {"name"}]
        return _choice(
            "oneOf",
            [_named(references[model], name) for name, model in fitting.items()] + ([{"enum": alone}] if alone else []),
        )

    definitions = {name: _filled(definition, blocks) for name, definition in definitions.items()}
    task = definitions.pop(references[Task]["$ref"].rpartition("/")[2])
    properties = task["properties"]
    properties["evaluation"] = _choice("anyOf", [references[model] for model in EVALUATION_OPTIONS.values()])
    sections = {section: properties[section] for section in DemoOverlay.model_fields if section in properties}
    sections["generate"] = _choice("anyOf", [references[model] for model in generators.values()])
    overlay = _partial({"type": "object", "properties": sections, "additionalProperties": False})
    properties["demo"] = {
        "anyOf": [overlay, *properties["demo"]["anyOf"]],
        "description": "What `--demo` changes, or what runs where the data set is missing (dataset.if_missing).",
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


def _required(model: type[BaseModel]) -> set[str]:
    return {name for name, field in model.model_fields.items() if field.is_required()}


def _filled(schema: Any, blocks: Callable[[str, Mapping[str, str]], Schema]) -> Any:
    """A schema in which the places of components hold what may stand there."""
    if isinstance(schema, list):
        return [_filled(item, blocks) for item in schema]
    if not isinstance(schema, dict):
        return schema
    filled = {key: _filled(value, blocks) for key, value in schema.items() if key != MARKER}
    return filled | blocks(schema[MARKER]["kind"], schema[MARKER]["wanted"]) if MARKER in schema else filled


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
