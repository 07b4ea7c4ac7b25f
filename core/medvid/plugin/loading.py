"""Imports one plugin's light module in isolation: its faults are recorded, and the others continue."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from traceback import walk_tb
from types import TracebackType
from typing import Any, cast

import pluggy

from medvid.errors import PluginError
from medvid.plugin import hookspecs
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.guard import guarded_import
from medvid.plugin.kinds import KINDS
from medvid.plugin.settings import ENVIRONMENT
from medvid.plugin.specs import ComponentSpec
from medvid.similar import suggest

logger = logging.getLogger("medvid")

HookCall = Callable[..., Any]

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("medvid_"))
_MACHINERY = (
    "importlib",
    "importlib_metadata",  # takes the place of importlib.metadata once MLflow has imported it
    "_frozen_importlib",
    "pluggy",
    "pydantic",
    "medvid.plugin",
    "medvid.config.explain",
    "medvid.config.load",
    "medvid.config.named",
)


def load_plugin(manager: pluggy.PluginManager, plugin: PluginStatus) -> PluginStatus:
    """Import a plugin, register its hooks and collect its components; one that fails is unregistered as broken."""
    if not plugin.active or plugin.entry_point is None:
        return plugin
    try:
        with guarded_import(lambda fault: logger.warning("%s %s", plugin.label, fault), exempt_from_guard(plugin)):
            return replace(plugin, components=_register(manager, plugin.entry_point.load(), plugin.label))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also the SystemExit of a plugin that leaves at import
        if manager.has_plugin(plugin.label):
            manager.unregister(name=plugin.label)
        return replace(plugin, status="broken", reason=describe_failure(error))


def exempt_from_guard(plugin: PluginStatus) -> tuple[str, ...]:
    """Settings that a plugin may change: medvid's own make those of MLflow, which it takes from the environment."""
    return (ENVIRONMENT,) if plugin.status == "builtin" else ()


def hook_callers(manager: pluggy.PluginManager, hook: str) -> Iterator[tuple[str, HookCall]]:
    """The plugins that implement a hook, in the order of their call, each with a caller of it alone."""
    plugins = [implementation.plugin for implementation in reversed(getattr(manager.hook, hook).get_hookimpls())]
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        yield manager.get_name(plugin) or "", manager.subset_hook_caller(hook, others)


def describe_failure(error: BaseException) -> str:
    """One line on an error of a plugin: what it is, and the plugin's own first frame of its traceback."""
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, PluginError | pluggy.PluginValidationError) else f"{type(error).__name__}: "
    place = _own_frame(error.__traceback__)
    if not place and isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    return f"{kind}{text}" + (f" ({place})" if place else "")


def _register(manager: pluggy.PluginManager, module: object, label: str) -> tuple[ComponentSpec, ...]:
    manager.register(module, name=label)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        raise PluginError(_unknown_hook(manager, module)) from None
    if not manager.get_hookcallers(module):
        raise PluginError("it implements no hook: none of its functions is marked with @hookimpl")
    results = [call() for name, call in hook_callers(manager, "medvid_components") if name == label]
    if [] in results:  # pluggy leaves None out
        raise PluginError("medvid_components returned nothing; yield the specs, or return a list of them")
    return tuple(_checked(spec) for result in results for specs in result for spec in _iterate(specs))


def _unknown_hook(manager: pluggy.PluginManager, module: object) -> str:
    callers = manager.get_hookcallers(module) or []
    name = next(caller.name for caller in callers if not caller.has_spec())
    known = [hook for hook in dir(manager.hook) if hook.startswith("medvid_") and hook != name]
    return f"there is no hook {name!r}" + suggest(name, known, parts=True)


def _iterate(result: object) -> Iterable[object]:
    if not isinstance(result, Iterable):
        raise PluginError(f"medvid_components returned {result!r}, not specs of components")
    return result


def _checked(spec: object) -> ComponentSpec:
    if not isinstance(spec, tuple(kind.spec for kind in KINDS.values())):
        raise PluginError(f"medvid_components returned {spec!r}, which is not the spec of a component")
    return cast(ComponentSpec, spec)


def _own_frame(trace: TracebackType | None) -> str:
    for frame, line in walk_tb(trace):
        module = frame.f_globals.get("__name__", "")
        if not any(module == name or module.startswith(f"{name}.") for name in _MACHINERY):
            return f"{frame.f_code.co_filename}:{line}"
    return ""
