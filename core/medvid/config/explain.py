"""Turns pydantic's errors into what a user needs to know: the key, what is wrong with it, and what was meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medvid.config.yaml import KeyPath, Problem


def explain(error: ValidationError, model: type[BaseModel], data: object, prefix: KeyPath = ()) -> list[Problem]:
    """The problems of a block.

    Args:
        error: from validating the block.
        model: the class it was validated by.
        data: the block.
        prefix: key path of the block.
    """
    messages: dict[KeyPath, list[str]] = {}
    branches: set[KeyPath] = set()
    for detail in error.errors():
        path = _path_in(data, detail)
        if len(path) < len(detail["loc"]):
            branches.add(path)
        messages.setdefault(path, []).append(_message(detail, model))
    return [
        Problem(prefix + path, _either(list(dict.fromkeys(texts))))
        for path, texts in messages.items()
        # Of a union's branches, the one that got deepest into the value is what was meant.
        if not (path in branches and any(other[: len(path)] == path != other for other in messages))
    ]


def suggest(value: str, known: Sequence[str]) -> str:
    """``"; did you mean 'x'?"``, or nothing if no known name is close."""
    close = get_close_matches(value, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _path_in(data: object, detail: ErrorDetails) -> KeyPath:
    """The key path of an error. Its `loc` also holds tags of unions and names of types, which are not in the data."""
    path: list[str | int] = []
    here: Any = data
    for element in detail["loc"]:
        if isinstance(here, list | tuple):
            here = dict(enumerate(here))
        if isinstance(here, Mapping) and element in here:
            path.append(element)
            here = here[element]
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    elif detail["type"].startswith("union_tag"):
        path.append(_discriminator(detail))
    return tuple(path)


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    context, value = detail.get("ctx", {}), detail["input"]
    match detail["type"]:
        case "missing":
            text = "missing"
        case "extra_forbidden":
            text = "unknown key" + suggest(str(detail["loc"][-1]), _fields_at(model, detail["loc"][:-1]))
        case "union_tag_not_found":
            text = "missing"
        case "union_tag_invalid":
            expected = str(context["expected_tags"])
            text = f"should be one of {expected}, got {context['tag']!r}" + _suggest_quoted(context["tag"], expected)
        case "literal_error":
            expected = str(context["expected"])
            text = f"should be {expected}, got {_short(value)}" + _suggest_quoted(value, expected)
        case "value_error" | "assertion_error":
            text = str(context["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            text = f"should be a block of options, got {_short(value)}"
        case _:
            text = detail["msg"].partition(", unable to parse")[0].removeprefix("Input ")
            text = text[0].lower() + text[1:] + ("" if ", got" in text else f", got {_short(value)}")
    return text


def _either(texts: Sequence[str]) -> str:
    """One text of those on the branches of a union: ``should be X or Y, got Z``."""
    parts = [text.partition(", got ") for text in texts]
    expected = [parts[0][0], *(head.removeprefix("should be ") for head, _, _ in parts[1:])]
    return " or ".join(expected) + max((comma + got for _, comma, got in parts), key=len)


def _discriminator(detail: ErrorDetails) -> str:
    return str(detail["ctx"]["discriminator"]).strip("'")


def _suggest_quoted(value: object, expected: str) -> str:
    return suggest(str(value), re.findall(r"'([^']+)'", expected))


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _fields_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that are known at a place in a model."""
    models = [model]
    for element in loc:
        fields = [known.model_fields[element] for known in models if element in known.model_fields]
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
        else:  # an index, or the tag of a union
            models = [known for known in models if _is_named(known, element)] or models
    return [name for known in models for name in known.model_fields]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _is_named(model: type[BaseModel], name: object) -> bool:
    field = model.model_fields.get("name")
    return name == model.__name__ or (field is not None and name in get_args(field.annotation))
