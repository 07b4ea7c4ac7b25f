"""Checks of every component, whatever its kind: what can be said without running it."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from medvid.config.load import dump_yaml
from medvid.config.yaml import parse_file
from medvid.errors import ConfigError
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.specs import ComponentSpec
from medvid.testing.check import Subject, expect

HEAVY = ("torch", "torchvision", "numpy", "monai", "mlflow", "nibabel", "lightning_fabric", "scipy", "matplotlib")
"""What takes long to import."""
UNKNOWN_OPTION = "no_such_option"

_PROBE = """
import importlib, json, sys
sys.path[:0] = json.loads(sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def check_light_imports(subject: Subject) -> None:
    """The modules of plugin and options import nothing heavy, so that listing and checking stay fast."""
    spec = subject.spec
    named = [name.partition(":")[0] for name in _named(spec, spec.light)]
    modules = [*named, *_plugin_modules(subject.host.owner(spec))]
    command = [sys.executable, "-c", _PROBE, _json_path(), *dict.fromkeys(modules)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"importing {', '.join(modules)} fails: {done.stderr.strip()[-500:]}")
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = [name for name in HEAVY if name in imported]
    expect(not heavy, f"importing {', '.join(modules)} imports {', '.join(heavy)}; import on use instead")


def check_targets(subject: Subject) -> None:
    """Everything that the spec names can be imported."""
    spec = subject.spec
    for name in _named(spec, (*spec.light, *spec.code)):
        subject.load(name)


def check_options(subject: Subject) -> None:
    """The options of the example are valid, and the same after a round through YAML."""
    written = dump_yaml(subject.options.model_dump(mode="json"))
    document = parse_file(written, "options.yaml")
    expect(not document.problems, f"the options cannot be read back from YAML: {document.problems}")
    again = subject.read(document.data)
    expect(again == subject.options, f"written and read back, the options change from {subject.options!r} to {again!r}")


def check_unknown_option(subject: Subject) -> None:
    """A misspelt option is refused by name."""
    try:
        subject.read({**subject.block, UNKNOWN_OPTION: 1})
    except ConfigError as error:
        expect(UNKNOWN_OPTION in str(error), f"the message does not name the unknown option: {error}")
    else:
        expect(False, 'an unknown option is accepted; derive the options from a class with extra="forbid"')


def check_documented(subject: Subject) -> None:
    """The component has a summary."""
    expect(bool(subject.spec.summary), "the spec has no summary, which `platform plugins list` shows")


SPEC_CHECKS = (check_light_imports, check_targets, check_options, check_unknown_option, check_documented)


def _named(spec: ComponentSpec, fields: Iterable[str]) -> list[str]:
    """What fields name as ``"module:attribute"``."""
    return [name for field in fields if (name := getattr(spec, field))]


def _plugin_modules(owner: PluginStatus) -> list[str]:
    return [owner.entry_point.module] if owner.entry_point else []


def _json_path() -> str:
    """The module path of this process, for one that it starts."""
    return json.dumps([path or str(Path.cwd()) for path in sys.path])
