"""The host: discovers, checks and loads plugins, finds components by name, and tells observers about runs."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import pluggy

from medvid.errors import ConfigError, MedvidError, PluginError
from medvid.plugin import hookspecs
from medvid.plugin.allowlist import AllowList, read_allow_list
from medvid.plugin.discovery import PluginStatus, discover
from medvid.plugin.events import RunInfo
from medvid.plugin.guard import guarded, guarded_import
from medvid.plugin.loading import HOOKS, describe_failure, exempt_from_guard, hook_callers, load_plugin
from medvid.plugin.markers import PROJECT
from medvid.plugin.probe import mark_deadly
from medvid.plugin.specs import BackboneSpec, ComponentSpec, DatasetSpec, HeadSpec, load_attribute
from medvid.similar import suggest

Kind = Literal["backbone", "head", "dataset"]

logger = logging.getLogger("medvid")


def make_host(plugins_file: Path | None = None) -> "Host":
    """Load the builtin plugins and those that the allow-list enables.

    Never fails: what is wrong with a plugin is in its status, and an error only where the plugin is needed.

    Args:
        plugins_file: the allow-list; default: as `medvid.plugin.allowlist.find_file` looks it up.
    """
    allow = read_allow_list(plugins_file)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return Host(allow, manager, tuple(load_plugin(manager, plugin) for plugin in mark_deadly(discover(allow))))


class Host:
    """The loaded plugins.

    Args:
        allow_list: what was allowed.
        manager: the loaded plugins are registered with it.
        plugins: all that are installed or listed, and what became of them.
    """

    def __init__(self, allow_list: AllowList, manager: pluggy.PluginManager, plugins: tuple[PluginStatus, ...]) -> None:
        self.allow_list = allow_list
        self._components: dict[tuple[str, str], list[tuple[ComponentSpec, PluginStatus]]] = defaultdict(list)
        for plugin in plugins:
            for spec in plugin.components:
                self._components[spec.kind, spec.name].append((spec, plugin))
        self.plugins = tuple(replace(plugin, reason=self._clashes(plugin) or plugin.reason) for plugin in plugins)
        self._observers = {hook: tuple(hook_callers(manager, hook)) for hook in HOOKS}
        self._reported: set[tuple[str, str, str]] = set()

    @overload
    def specs(self, kind: Literal["backbone"]) -> tuple[BackboneSpec, ...]: ...
    @overload
    def specs(self, kind: Literal["head"]) -> tuple[HeadSpec, ...]: ...
    @overload
    def specs(self, kind: Literal["dataset"]) -> tuple[DatasetSpec, ...]: ...
    @overload
    def specs(self, kind: Kind) -> tuple[ComponentSpec, ...]: ...
    def specs(self, kind: Kind) -> tuple[ComponentSpec, ...]:
        """All components of a kind that a task can name, by name."""
        found = [owners[0][0] for (of, _), owners in self._components.items() if of == kind and len(owners) == 1]
        return tuple(sorted(found, key=lambda spec: spec.name))

    @overload
    def spec(self, kind: Literal["backbone"], name: str) -> BackboneSpec: ...
    @overload
    def spec(self, kind: Literal["head"], name: str) -> HeadSpec: ...
    @overload
    def spec(self, kind: Literal["dataset"], name: str) -> DatasetSpec: ...
    @overload
    def spec(self, kind: Kind, name: str) -> ComponentSpec: ...
    def spec(self, kind: Kind, name: str) -> ComponentSpec:
        """The component of that name.

        Raises:
            ConfigError: there is none.
            PluginError: two distributions contribute one of that name, or it may come from a plugin that is broken,
                refused or not enabled.
        """
        owners = self._components.get((kind, name), [])
        if len(owners) == 1:
            return owners[0][0]
        if owners:
            labels = " and by ".join(plugin.label for _, plugin in owners)
            ways = [f"platform plugins remove {owner.distribution}" for _, owner in owners if owner.status == "enabled"]
            raise PluginError(f"two plugins contribute a {kind} named {name!r}: by {labels}", hint=" or ".join(ways))
        raise self._unknown(kind, name)

    def owner(self, spec: ComponentSpec) -> PluginStatus:
        """The plugin that contributes a component."""
        return next(plugin for known, plugin in self._components[spec.kind, spec.name] if known is spec)

    def used_by(self, specs: Iterable[ComponentSpec]) -> tuple[PluginStatus, ...]:
        """The plugins that have a part in a run on these components: their owners, and all that observe runs."""
        observers = {label for hook in HOOKS for label, _ in self._observers[hook] if hook != "medvid_components"}
        owners = {self.owner(spec).label for spec in specs}
        return tuple(plugin for plugin in self.plugins if plugin.active and plugin.label in observers | owners)

    def load(self, spec: ComponentSpec, target: str) -> Any:
        """Import ``"package.module:attribute"`` that a component names.

        Raises:
            PluginError: it cannot be imported; names the plugin and where in it.
        """
        owner = self.owner(spec)
        label = owner.label
        try:
            with guarded_import(lambda fault: logger.warning("%s %s", label, fault), exempt_from_guard(owner)):
                return load_attribute(target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also the SystemExit of a plugin that leaves at import
            raise PluginError(
                f"{spec.kind} {spec.name!r} cannot be loaded from {label}: {describe_failure(error)}"
            ) from error

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call the observers of a hook; one that raises is reported once and stops nobody."""
        for plugin, call in self._observers[hook]:
            try:
                with self._guarded(plugin, hook):
                    call(**arguments)
            except (Exception, SystemExit) as error:
                self._report(plugin, "failed", hook, f"{describe_failure(error)}; the run goes on")
                logger.debug("its traceback", exc_info=True)

    def veto(self, run: RunInfo) -> None:
        """Call the observers of `medvid_run_configured`, of which any may stop the run.

        Raises:
            MedvidError: the veto of a plugin.
            PluginError: a plugin failed.
        """
        for plugin, call in self._observers["medvid_run_configured"]:
            try:
                with self._guarded(plugin, "medvid_run_configured"):
                    call(run=run)
            except MedvidError as veto:
                veto.hint = f"this is a veto of {plugin}" + (f"; {veto.hint}" if veto.hint else "")
                raise
            except (Exception, SystemExit) as error:
                raise PluginError(f"{plugin} failed in medvid_run_configured: {describe_failure(error)}") from error

    def _guarded(self, plugin: str, hook: str) -> AbstractContextManager[None]:
        exempt = next((exempt_from_guard(known) for known in self.plugins if known.label == plugin), ())
        return guarded(
            lambda changed: self._report(plugin, "leaked", hook, f"changed {changed}; this is put back"), exempt
        )

    def _report(self, plugin: str, kind: str, hook: str, fault: str) -> None:
        """Warn of a kind of fault, for each plugin and hook once."""
        first = (plugin, kind, hook) not in self._reported
        self._reported.add((plugin, kind, hook))
        ours = kind == "leaked" and any(known.label == plugin and known.status == "builtin" for known in self.plugins)
        # MLflow works in a thread, where libraries change warning filters for a moment: users can do nothing about it.
        level = logging.WARNING if first and not ours else logging.DEBUG
        logger.log(level, "%s %s in %s: %s", plugin, kind, hook, fault)

    def _clashes(self, plugin: PluginStatus) -> str:
        return "; ".join(
            f"{spec.kind} {spec.name!r} is also contributed by {other.label}"
            for spec in plugin.components
            for _, other in self._components[spec.kind, spec.name]
            if other is not plugin
        )

    def _unknown(self, kind: Kind, name: str) -> MedvidError:
        """The error for a name that no loaded plugin contributes.

        What a plugin that is not loaded would contribute cannot be known. So where the name is close to no known one,
        it is taken to come from such a plugin, if there is any.
        """
        names = [spec.name for spec in self.specs(kind)]
        close = suggest(name, names)
        message = f"no {kind} named {name!r}{close or ';'} enabled: {', '.join(names) or 'none'}"
        absent = [plugin for plugin in self.plugins if not plugin.active]
        others = [other for (other, known), _ in self._components.items() if known == name]
        if others:
            return ConfigError(f"{name!r} is a {others[0]}, not a {kind}", hint=f"{kind}s: {', '.join(names)}")
        if close and not any(plugin.name == name for plugin in absent):
            return ConfigError(message)
        places = [why_absent(plugin) for plugin in absent]
        if self.allow_list.problem:
            places.insert(0, f"only builtin plugins are loaded: {self.allow_list.problem}")
        hint = "\n  ".join(["it may come from a plugin that is not loaded:", *places]) if places else ""
        is_elsewhere = any(plugin.name == name for plugin in absent) or (places and not close)
        return PluginError(message, hint=hint) if is_elsewhere else ConfigError(message, hint=hint)


def why_absent(plugin: PluginStatus) -> str:
    """One line on a plugin that is not loaded, with the way out where there is one."""
    if plugin.status == "installed, not enabled":
        return f"{plugin.label} is installed, not enabled: platform plugins add {plugin.distribution}"
    return f"{plugin.label} is {plugin.status}: {plugin.reason}"
