"""Blocks that name a component, wherever they stand: read by the options of the component that they name."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from medvid.config.components import options_of
from medvid.config.explain import EXPLAINED, as_written, validate
from medvid.config.options import ComponentOptions
from medvid.config.yaml import Problem
from medvid.errors import ConfigError, MedvidError, PluginError
from medvid.plugin.host import Host
from medvid.plugin.kinds import KINDS
from medvid.plugin.loading import describe_failure
from medvid.plugin.specs import ComponentSpec

MARKER = "x-component"
"""Stands in a JSON schema for the blocks of components, until a host fills it in."""

Read = tuple[ComponentOptions | None, list[Problem]]
"""Options, None where something is wrong; and all that is."""


class Named:
    """Annotates an option that is the block of a component: ``Annotated[LossOptions, Named("loss")]``.

    Args:
        kind: of the component, see `medvid.plugin.kinds.KINDS`.
        wanted: what the fields of its spec have to be, or to hold: ``axes="image"``.
    """

    def __init__(self, kind: str, **wanted: str) -> None:
        self.kind, self.wanted = KINDS[kind], wanted

    def takes(self, spec: ComponentSpec) -> bool:
        """Whether a component of the kind may stand here."""
        return all(wanted in _values(spec, field) for field, wanted in self.wanted.items())

    def read(self, host: Host, block: object) -> Read:
        """Read a block, or a bare name, by the options class of the component that it names."""
        block = {"name": block} if isinstance(block, str) else block
        if not isinstance(block, Mapping):
            return None, [Problem((), f"should be a block of options with a name, got {as_written(block)}")]
        if not isinstance(name := block.get("name"), str):
            return None, [self._nameless(host, block)]
        try:
            spec = host.spec(self.kind.spec, name)
            return read_block(host, spec, block) if self.takes(spec) else (None, [self._refusal(spec)])
        except MedvidError as error:
            return None, [Problem(("name",), str(error), cause=error)]

    def _nameless(self, host: Host, block: Mapping[str, object]) -> Problem:
        """What to write where options are given without saying of which component, such as of a default."""
        specs = [spec for spec in host.specs(self.kind.spec) if self.takes(spec)]
        fitting = [spec.name for spec in specs if block and "name" not in block and _has_options(host, spec, block)]
        message = f"should name {self.kind.one}, one of: {', '.join(fitting or [spec.name for spec in specs])}"
        if not fitting:
            return Problem(("name",), message)
        whole = ", ".join(f"{key}: {as_written(value)}" for key, value in {"name": fitting[0], **block}.items())
        hint = f"write {{{whole}}}, or name it by another --set, whose key ends in .name: .name={fitting[0]}"
        return Problem(("name",), message, cause=ConfigError(message, hint=hint))

    def _refusal(self, spec: ComponentSpec) -> Problem:
        wanted = " and ".join(f"{value!r} among its {field}" for field, value in self.wanted.items())
        found = " and ".join(", ".join(map(repr, _values(spec, field))) for field in self.wanted)
        return Problem(("name",), f"should be {self.kind.one} with {wanted}; {spec.name} has {found}")

    def _validate(self, source: type[ComponentOptions], value: object, info: ValidationInfo) -> ComponentOptions:
        if isinstance(value, source):
            return value
        if not (info.context and "host" in info.context):
            raise ValueError(f"should be {source.__name__}: a block can only be read with a host")
        options, problems = self.read(info.context["host"], value)
        if options is None:
            raise ValidationError.from_exception_data(self.kind.name, [_detail(problem, value) for problem in problems])
        return options

    def __get_pydantic_core_schema__(self, source: type[ComponentOptions], handler: GetCoreSchemaHandler) -> CoreSchema:
        as_what_it_is = core_schema.simple_ser_schema("any")
        return core_schema.with_info_plain_validator_function(
            partial(self._validate, source), serialization=as_what_it_is
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {MARKER: {"kind": self.kind.name, "wanted": self.wanted}}


def read_block(host: Host, spec: ComponentSpec, block: Mapping[str, object]) -> Read:
    """Read a block by the options class of a component.

    Raises:
        PluginError: the class cannot be imported, or fails.
    """
    try:
        return validate(options_of(host, spec), block, host=host)
    except MedvidError:
        raise
    except Exception as error:
        owner = host.owner(spec).label
        raise PluginError(f"{owner} failed to check the options: {describe_failure(error)}") from error


def _has_options(host: Host, spec: ComponentSpec, block: Mapping[str, object]) -> bool:
    try:
        return block.keys() <= options_of(host, spec).model_fields.keys()
    except MedvidError:  # it is said where the component is named
        return False


def _values(spec: ComponentSpec, field: str) -> tuple[object, ...]:
    value = getattr(spec, field)
    return value if isinstance(value, tuple) else (value,)


def _detail(problem: Problem, value: object) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(EXPLAINED, "{problem}", {"problem": problem}), input=value)
