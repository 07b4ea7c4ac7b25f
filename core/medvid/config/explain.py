"""Turns pydantic's errors into what a user needs to know: the key, what is wrong with it, and what was meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medvid.config.yaml import KeyPath, Problem
from medvid.similar import suggest

if TYPE_CHECKING:
    from medvid.plugin.host import Host

_Model = TypeVar("_Model", bound=BaseModel)

UNKNOWN_KEY = "unknown key"
EXPLAINED = "explained"
"""Type of the errors of a block inside that was explained by itself already: their context holds its `Problem`."""

_PLAIN = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "bytes_type": "text",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "{ge} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "none_required": "left out",
    "path_type": "a path",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text of at least {min_length} characters",
    "string_type": "text",
    "too_long": "a list of at most {max_length} values",
    "too_short": "a list of at least {min_length} values",
}
"""What should have been given, by pydantic's type of error."""


def validate(
    model: type[_Model], block: object, prefix: KeyPath = (), *, host: "Host | None" = None
) -> tuple[_Model | None, list[Problem]]:
    """Validate a block, and say in plain words what is wrong with it.

    Args:
        model: the class of its options.
        block: as it was read.
        prefix: key path of the block.
        host: has the components that blocks inside of it name, see `medvid.config.named`.

    Returns:
        The options, None where something is wrong; and all that is.
    """
    try:
        options = model.model_validate(block, context={"host": host} if host else None)
    except ValidationError as error:
        return None, _explain(error, model, block, prefix)
    # Pydantic takes true for 1 where a number is wanted.
    problems = [
        Problem(prefix + path, f"should not be {as_written(given)}") for path, given in _lost_truths(block, options, ())
    ]
    return None if problems else options, problems


def _lost_truths(given: object, taken: object, path: KeyPath) -> Iterator[tuple[KeyPath, bool]]:
    """Where true or false was given, and taken as something else."""
    if isinstance(given, bool) and not isinstance(taken, bool):
        yield path, given
    elif isinstance(given, Mapping) and isinstance(taken, Mapping | BaseModel):
        found = taken if isinstance(taken, Mapping) else dict(taken)
        for key in given.keys() & found.keys():
            yield from _lost_truths(given[key], found[key], (*path, key))
    elif isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        for index, pair in enumerate(zip(given, taken, strict=False)):
            yield from _lost_truths(*pair, (*path, index))


def _explain(error: ValidationError, model: type[BaseModel], data: object, prefix: KeyPath) -> list[Problem]:
    explained: list[Problem] = []
    messages: dict[KeyPath, list[str]] = {}
    branches: set[KeyPath] = set()
    for detail in error.errors():
        path = _path_in(data, detail)
        if detail["type"] == EXPLAINED:
            problem = detail["ctx"]["problem"]
            explained.append(replace(problem, path=prefix + path + problem.path))
            continue
        if len(path) < len(detail["loc"]):
            branches.add(path)
        messages.setdefault(path, []).append(_message(detail, model))
    return explained + [
        Problem(prefix + path, _either(list(dict.fromkeys(texts))))
        for path, texts in messages.items()
        # Of a union's branches, the one that got deepest into the value is what was meant.
        if not (path in branches and any(other[: len(path)] == path != other for other in messages))
    ]


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
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], str):  # of a list, the whole list is wrong
        path.append(detail["loc"][-1])
    elif detail["type"].startswith("union_tag"):
        path.append(_discriminator(detail))
    return tuple(path)


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    context, value, loc = detail.get("ctx", {}), detail["input"], detail["loc"]
    got = f", got {as_written(value)}"
    match detail["type"]:
        case "missing" if isinstance(loc[-1], int):
            text = f"should be {_list_text(model, loc[:-1], value)}{got}"
        case "missing" | "union_tag_not_found":
            text = "missing"
        case "extra_forbidden":
            known = _fields_at(model, loc[:-1])
            text = UNKNOWN_KEY + (suggest(str(loc[-1]), known, parts=True) or f"; there are: {', '.join(known)}")
        case "union_tag_invalid":
            expected, tag = str(context["expected_tags"]), context["tag"]
            text = f"should be one of {expected}, got {as_written(tag)}" + _suggest_quoted(tag, expected)
        case "literal_error":
            expected = str(context["expected"])
            text = f"should be {expected}{got}" + _suggest_quoted(value, expected)
        case "value_error" | "assertion_error":
            text = str(context["error"])
        case "tuple_type" | "list_type" | "set_type" | "frozen_set_type":
            text = f"should be {_list_text(model, loc, value)}{got}"
        case "too_long" if _length(model, loc):
            text = f"should be {_list_text(model, loc, value)}{got}"
        case "dict_type" | "mapping_type" | "model_type" | "model_attributes_type":
            example = f", e.g. {{name: {value}}}" if isinstance(value, str) and "name" in _fields_at(model, loc) else ""
            text = f"should be a block of options{example}{got}"
        case "string_type" if isinstance(value, int | float):
            text = f"should be text: write it in quotes{got}"
        case kind if kind in _PLAIN:
            limits = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in context.items()}
            text = f"should be {_PLAIN[kind].format(**limits)}{got}"
        case _:
            text = detail["msg"].removeprefix("Input ")
            text = text[0].lower() + text[1:] + ("" if ", got" in text else got)
    return text


def _list_text(model: type[BaseModel], loc: Sequence[str | int], value: object) -> str:
    """``a list of 3 values, e.g. [4, 4, 4]``: of how many is known where each has its own place."""
    length = _length(model, loc)
    count = f" of {length} values" if length else ""
    simple = isinstance(value, int | float | str) and not isinstance(value, bool)
    return f"a list{count}" + (f", e.g. [{', '.join([str(value)] * (length or 1))}]" if simple else "")


def _length(model: type[BaseModel], loc: Sequence[str | int]) -> int:
    """Of the list at a place in a model, where it is fixed; else 0."""
    annotations: list[Any] = [model]
    for element in loc:
        annotations = [inner for annotation in annotations for inner in _inside(annotation, element)]
    lengths = {len(get_args(known)) for known in _alternatives(annotations) if get_origin(known) is tuple}
    fixed = not any(Ellipsis in get_args(known) for known in _alternatives(annotations))
    return max(lengths, default=0) if fixed else 0


def _inside(annotation: Any, element: str | int) -> Iterator[Any]:
    """The annotations of what is found under a key or index of what is annotated so."""
    for known in _alternatives([annotation]):
        if isinstance(known, type) and issubclass(known, BaseModel):
            if element in known.model_fields:
                yield known.model_fields[str(element)].annotation
            elif _is_named(known, element):  # the tag of a union
                yield known
        elif isinstance(element, int):
            yield from get_args(known)[:1]


def _alternatives(annotations: Sequence[Any]) -> Iterator[Any]:
    """The members of unions, and what is inside of Annotated."""
    for annotation in annotations:
        if get_origin(annotation) in (Union, UnionType):
            yield from _alternatives(get_args(annotation))
        elif get_origin(annotation) is Annotated:
            yield from _alternatives(get_args(annotation)[:1])
        else:
            yield annotation


def _either(texts: Sequence[str]) -> str:
    """One text of those on the branches of a union: ``should be X or Y, got Z``."""
    parts = [text.partition(", got ") for text in texts]
    expected = [parts[0][0], *(head.removeprefix("should be ") for head, _, _ in parts[1:])]
    return " or ".join(expected) + max((comma + got for _, comma, got in parts), key=len)


def _discriminator(detail: ErrorDetails) -> str:
    return str(detail["ctx"]["discriminator"]).strip("'")


def _suggest_quoted(value: object, expected: str) -> str:
    return suggest(str(value), re.findall(r"'([^']+)'", expected))


def as_written(value: object, limit: int = 60) -> str:
    """A value as it is written in a task file."""
    words: dict[object, str] = {None: "nothing", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
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
