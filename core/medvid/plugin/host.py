"""The host: discovers, checks and loads plugins, finds components by name, and tells observers about runs."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast

import pluggy

from medvid.errors import ConfigError, MedvidError, PluginError
from medvid.plugin import hookspecs
from medvid.plugin.allowlist import AllowList, read_allow_list
from medvid.plugin.discovery import PluginStatus, discover
from medvid.plugin.events import RunInfo
from medvid.plugin.guard import guarded, guarded_import
from medvid.plugin.kinds import KINDS
from medvid.plugin.loading import HOOKS, describe_failure, exempt_from_guard, hook_callers, load_plugin
from medvid.plugin.markers import PROJECT
from medvid.plugin.specs import ComponentSpec, load_attribute
from medvid.similar import suggest

Spec = TypeVar("Spec", bound=ComponentSpec)

logger = logging.getLogger("medvid")


class Chosen(Protocol):
    """Options of a component: they say which one."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """Of the component."""
        ...


def make_host(plugins_file: Path | None = None) -> "Host":
    """Load the builtin plugins and those that the allow-list enables.

    Never fails: what is wrong with a plugin is in its status, and an error only where the plugin is needed.

    Args:
        plugins_file: the allow-list; default: as `medvid.plugin.allowlist.find_file` looks it up.
    """
    allow = read_allow_list(plugins_file)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return Host(allow, manager, tuple(load_plugin(manager, plugin) for plugin in discover(allow)))


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

    def specs(self, kind: type[Spec]) -> tuple[Spec, ...]:
        """All components of a kind that a task can name, by name.

        Args:
            kind: class of their specs.
        """
        found = [owners[0][0] for (of, _), owners in self._components.items() if of == kind.kind and len(owners) == 1]
        return tuple(sorted(cast(list[Spec], found), key=lambda spec: spec.name))

    def spec(self, kind: type[Spec], name: str) -> Spec:
        """The component of that name.

        Args:
            kind: class of its spec.
            name: the name.

        Raises:
            ConfigError: there is none.
            PluginError: two distributions contribute one of that name, or it may come from a plugin that is broken,
                refused or not enabled.
        """
        owners = self._components.get((kind.kind, name), [])
        if len(owners) == 1:
            return cast(Spec, owners[0][0])
        if owners:
            labels = " and by ".join(plugin.label for _, plugin in owners)
            ways = [f"platform plugins remove {owner.distribution}" for _, owner in owners if owner.status == "enabled"]
            raise PluginError(
                f"two plugins contribute a {kind.kind} named {name!r}: by {labels}", hint=" or ".join(ways)
            )
        raise self._unknown(kind, name)

    def spec_of(self, options: Chosen) -> ComponentSpec:
        """The component that options belong to; raises as `spec`."""
        return self.spec(KINDS[options.kind].spec, options.name)

    def build(self, options: Chosen, *arguments: Any) -> Any:
        """Make the component that options belong to.

        Args:
            options: of the component, validated.
            arguments: what its kind is told besides them, see its spec. A target with an argument ``build`` is also
                handed this method, for the components that its options name; likewise ``build_all``, for all of a kind.

        Raises:
            PluginError: its code cannot be imported, or makes something else than its kind asks for.
        """
        spec = self.spec_of(options)
        target, wanted = self.load(spec, spec.target), load_attribute(KINDS[spec.kind].target)
        ways = {"build": self.build, "build_all": self.build_all}
        more = {name: way for name, way in ways.items() if name in signature(target).parameters}
        made = target(options, *arguments, **more)
        if not isinstance(made, wanted):
            raise PluginError(f"{self.owner(spec).label}: {spec.target} is not a {wanted.__module__}.{wanted.__name__}")
        return made

    def build_all(self, kind: type[Spec], *options: Chosen) -> dict[Spec, Any]:
        """Make every component of a kind, by spec: with these options, or the defaults where none of them is its own.

        Args:
            kind: class of their specs.
            options: of some of them.

        Raises:
            PluginError: as `build`; or the options of one have no defaults.
        """
        given = {one.name: one for one in options}
        return {spec: self.build(given.get(spec.name) or self._defaults(spec)) for spec in self.specs(kind)}

    def _defaults(self, spec: ComponentSpec) -> Chosen:
        try:
            return cast(Chosen, self.load(spec, spec.config)())
        except ValueError as error:
            raise PluginError(f"{self.owner(spec).label}: {spec.config} has no defaults: {error}") from error

    def owner(self, spec: ComponentSpec) -> PluginStatus:
        """The plugin that contributes a component."""
        return next(plugin for known, plugin in self._components[spec.kind, spec.name] if known is spec)

    def used_by(self, specs: Iterable[ComponentSpec]) -> tuple[PluginStatus, ...]:
        """The plugins that a run on these components uses: their owners, and all that observe runs."""
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
                self._report(plugin, "failed", hook, f"{describe_failure(error)}; the run continues")
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
            lambda changed: self._report(plugin, "leaked", hook, f"changed {changed}; this was restored"), exempt
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

    def _unknown(self, kind: type[ComponentSpec], name: str) -> MedvidError:
        """The error for a name that no loaded plugin contributes.

        What a plugin that is not loaded would contribute cannot be known. So where the name is close to no known one,
        it is taken to come from such a plugin, if there is any.
        """
        names = [spec.name for spec in self.specs(kind)]
        close = suggest(name, names)
        message = f"no {kind.kind} named {name!r}{close or ';'} enabled: {', '.join(names) or 'none'}"
        absent = [plugin for plugin in self.plugins if not plugin.active]
        others = [other for (other, known), _ in self._components.items() if known == name]
        if others:
            return ConfigError(
                f"{name!r} is a {others[0]}, not a {kind.kind}", hint=f"{kind.kind}s: {', '.join(names)}"
            )
        if close and not any(plugin.name == name for plugin in absent):
            return ConfigError(message)
        places = [why_absent(plugin) for plugin in absent]
        if self.allow_list.problem:
            places.insert(0, f"only builtin plugins are loaded: {self.allow_list.problem}")
        hint = "\n  ".join(["perhaps it is in a plugin that is not loaded:", *places]) if places else ""
        is_elsewhere = any(plugin.name == name for plugin in absent) or (places and not close)
        return PluginError(message, hint=hint) if is_elsewhere else ConfigError(message, hint=hint)


def why_absent(plugin: PluginStatus) -> str:
    """One line on a plugin that is not loaded, with what to do if possible."""
    if plugin.status == "installed, not enabled":
        return f"{plugin.label} is installed, not enabled: platform plugins add {plugin.distribution}"
    return f"{plugin.label} is {plugin.status}: {plugin.reason}"
