"""What `platform plugins show` says about a component or a plugin."""

import json
from collections.abc import Iterator
from dataclasses import fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from medvid.config.components import options_of
from medvid.config.named import Named
from medvid.config.options import ComponentOptions
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.host import Host
from medvid.plugin.specs import ComponentSpec


def describe_plugin(plugin: PluginStatus) -> str:
    """A plugin's origin, its state and what it contributes."""
    facts = {
        "status": plugin.status + (f": {plugin.reason}" if plugin.reason else ""),
        "enable it": f"platform plugins add {plugin.distribution}" if plugin.status == "installed, not enabled" else "",
        "verified": "no: it is editable" if plugin.editable else "",
        "module": plugin.entry_point.value if plugin.entry_point else "",
        "components": ", ".join(f"{spec.kind} {spec.name}" for spec in plugin.components),
    }
    return "\n".join([plugin.label, *_facts(facts)])


def describe_component(host: Host, spec: ComponentSpec) -> str:
    """Everything about a component: its spec, where it comes from, and its options with types and defaults."""
    owner = host.owner(spec)
    facts = {"from": owner.label + (f" ({owner.reason})" if owner.reason else "")}
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name == "examples":
            value = tuple(json.dumps(dict(example.options)) for example in value if example.options)
        if field.name == "exceptions":
            value = tuple(f"{check} ({reason})" for check, reason in value.items())
        facts[field.name] = ", ".join(value) if isinstance(value, tuple) else str(value)
    del facts["name"]
    lines = [f"{spec.kind} {spec.name}", *_facts(facts), "  options:"]
    return "\n".join([*lines, *_options(options_of(host, spec))])


def _facts(facts: dict[str, str]) -> Iterator[str]:
    for key, value in facts.items():
        if value:
            yield f"  {key}: {value}"


def _options(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        yield f"    {prefix}{name}: {type_text(annotation)}{_default(field)}"
        if field.description:
            yield f"        {' '.join(field.description.split())}"
        for inner in _models_in(annotation):
            yield from _options(inner, f"{prefix}{name}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return " (required)"
    if field.default_factory_takes_validated_data:
        return " (default: depends on other options)"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, ComponentOptions):
        return f" = {default.name}"
    if isinstance(default, tuple) and default and isinstance(default[0], ComponentOptions):
        return f" = [{', '.join(options.name for options in default)}]"
    return "" if isinstance(default, BaseModel) else f" = {default!r}"


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models whose fields are written there; components have pages of their own."""
    if _kind_of(annotation):
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def type_text(annotation: Any) -> str:
    """A type as a reader of a task file understands it: without modules, and the choices of a literal spelt out."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind = _kind_of(annotation)
        return f"{kind}, by name" if kind else type_text(arguments[0])
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        return " | ".join(map(type_text, arguments))
    if annotation is NoneType:
        return "null"
    if annotation is Ellipsis:
        return "..."
    name = getattr(annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(map(type_text, arguments))}]" if arguments else name


def _kind_of(annotation: Any) -> str:
    """The kind of component whose block is annotated so; empty if none is."""
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((item.kind.name for item in metadata if isinstance(item, Named)), "")
