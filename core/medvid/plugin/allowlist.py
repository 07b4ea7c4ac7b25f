"""plugins.toml, the allow-list: which installed distributions, besides medvid itself, may be imported as plugins.

It fails closed: without a readable file only the builtin plugins are loaded. It is not a sandbox: a listed plugin runs
with the user's rights.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from medvid.errors import ConfigError, PluginError
from medvid.files import write_text

FILE_NAME = "plugins.toml"
VARIABLE = "MEDVID_PLUGINS"
HEADER = """\
# The plugins that medvid may import besides its own, which need no listing. Written by `platform plugins add`, `remove`
# and `lock`: an entry holds the hash of the installed files, so that a plugin which changed is refused.
"""


def _version_range(value: str) -> str:
    try:
        SpecifierSet(value)
    except InvalidSpecifier as error:
        raise ValueError(f"{value!r} is not a version range, e.g. '>=1.2,<2'") from error
    return value


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AllowedPlugin(_Table):
    """One entry: a distribution, and the entry point of it that may be loaded.

    `record_sha256` is the hash of the distribution's installed RECORD file, which holds the hashes of all its files.
    `editable` replaces it for a plugin in development, whose files change.
    """

    distribution: str
    version: Annotated[str, AfterValidator(_version_range)]
    entry_point: str
    record_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    editable: bool = False

    @model_validator(mode="after")
    def _is_pinned(self) -> "AllowedPlugin":
        if self.editable == (self.record_sha256 is not None):
            raise ValueError("give either record_sha256 or editable = true")
        return self

    @property
    def key(self) -> tuple[str, str]:
        """What a plugin is known by: its distribution and its entry point."""
        return canonicalize_name(self.distribution), self.entry_point


class _Builtin(_Table):
    disabled: tuple[str, ...] = ()


class _File(_Table):
    version: Literal[1] = Field(alias="schema")
    plugin: tuple[AllowedPlugin, ...] = ()
    builtin: _Builtin = _Builtin()


@dataclass(frozen=True, slots=True)
class AllowList:
    """What may be loaded.

    Args:
        path: the file it comes from, or None where there is none.
        plugins: the allowed plugins.
        disabled: entry points of builtin plugins that are not to be loaded.
        problem: a sentence on why the file could not be used; then nothing but builtins is allowed.
    """

    path: Path | None = None
    plugins: tuple[AllowedPlugin, ...] = ()
    disabled: tuple[str, ...] = ()
    problem: str = ""

    def find(self, distribution: str, entry_point: str) -> AllowedPlugin | None:
        """The entry of a plugin, if it is allowed."""
        key = canonicalize_name(distribution), entry_point
        return next((plugin for plugin in self.plugins if plugin.key == key), None)


def find_file(given: Path | None = None) -> Path | None:
    """The allow-list in force: the one given, else $MEDVID_PLUGINS, else plugins.toml in or above this folder."""
    if given is not None:
        return given
    if named := os.environ.get(VARIABLE):
        return Path(named)
    here = Path.cwd()
    return next((file for folder in (here, *here.parents) if (file := folder / FILE_NAME).is_file()), None)


def read_allow_list(given: Path | None = None) -> AllowList:
    """Read the allow-list in force; what is wrong with it becomes its `problem`, never an exception."""
    path = find_file(given)
    if path is None:
        return AllowList()
    try:
        text = path.read_text(encoding="utf-8")
        content = _File.model_validate(tomllib.loads(text))
    except OSError as error:
        return AllowList(path, problem=f"{path} cannot be read: {error.strerror}")
    except ValidationError as error:
        return AllowList(path, problem="; ".join(_explain(error, path, text)))
    except ValueError as error:  # of UTF-8 or of TOML, which names line and column
        return AllowList(path, problem=f"{path}: {error}")
    return AllowList(path, content.plugin, content.builtin.disabled)


def read_for_writing(given: Path | None = None) -> tuple[Path, AllowList]:
    """Read the allow-list in force, to write it anew; where there is none, it will be plugins.toml in this folder.

    Raises:
        PluginError: there is a file that cannot be used, which must not be overwritten.
    """
    allow = read_allow_list(given)
    path = allow.path or Path(FILE_NAME)
    if allow.problem and path.exists():
        raise PluginError(allow.problem, hint="repair the file, or remove it")
    return path, allow


def write_allow_list(path: Path, plugins: Iterable[AllowedPlugin], disabled: tuple[str, ...]) -> None:
    """Write an allow-list, in order; the file is either the old one or the new one, never half of it.

    Raises:
        ConfigError: there is no such folder.
        ResourceError: it may not be written.
    """
    lines = [HEADER + "schema = 1"]
    if disabled:
        lines += ["", "[builtin]", f"disabled = {json.dumps(disabled)}"]
    for plugin in sorted(plugins, key=lambda plugin: plugin.key):
        lines += ["", "[[plugin]]"]
        values = plugin.model_dump(exclude_defaults=True)
        # A JSON string or boolean is written alike in TOML.
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    path = path.resolve()  # a link to a list that several projects share stays one
    try:
        write_text(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise ConfigError(f"the allow-list {path} cannot be written: {error.strerror}") from None


def _explain(error: ValidationError, path: Path, text: str) -> Iterator[str]:
    lines = enumerate(text.splitlines(), start=1)
    headers = [number for number, line in lines if re.match(r"\s*\[\[\s*plugin\s*\]\]", line)]
    for detail in error.errors():
        match detail["loc"]:
            case ("plugin", int(number), *_) if number < len(headers):
                place = f"{path}:{headers[number]}"
            case _:
                place = str(path)
        key = ".".join(str(part) for part in detail["loc"])
        yield f"{place}: {key}: {detail['msg'].removeprefix('Value error, ')}"
