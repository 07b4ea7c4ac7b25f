"""Checks of every component, whatever its kind: what can be said without running it."""

import json
import subprocess
import sys
from pathlib import Path

from medvid.config.load import dump_yaml
from medvid.config.yaml import parse_file
from medvid.errors import ConfigError
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.specs import BackboneSpec, DatasetSpec
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


def light_imports(subject: Subject) -> None:
    """The modules of plugin and options import nothing heavy, so that listing and checking stay fast."""
    modules = [subject.spec.config.partition(":")[0], *_plugin_modules(subject.host.owner(subject.spec))]
    if isinstance(subject.spec, DatasetSpec) and subject.spec.sample_config:
        modules.append(subject.spec.sample_config.partition(":")[0])
    command = [sys.executable, "-c", _PROBE, _json_path(), *dict.fromkeys(modules)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"importing {', '.join(modules)} fails: {done.stderr.strip()[-500:]}")
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = [name for name in HEAVY if name in imported]
    expect(not heavy, f"importing {', '.join(modules)} imports {', '.join(heavy)}; import on use instead")


def targets(subject: Subject) -> None:
    """Everything that the spec names can be imported."""
    spec = subject.spec
    names = [spec.config, spec.target]
    if isinstance(spec, BackboneSpec):
        names.append(spec.weights)
    if isinstance(spec, DatasetSpec):
        names += [spec.sample, spec.sample_config]
    for name in filter(None, names):
        subject.load(name)


def options(subject: Subject) -> None:
    """The options of the example are valid, and the same after a round through YAML."""
    written = dump_yaml(subject.options.model_dump(mode="json"))
    document = parse_file(written, "options.yaml")
    expect(not document.problems, f"the options cannot be read back from YAML: {document.problems}")
    again = subject.read(document.data)
    expect(again == subject.options, f"written and read back, the options change from {subject.options!r} to {again!r}")


def unknown_option(subject: Subject) -> None:
    """A misspelt option is refused by name."""
    try:
        subject.read({**subject.block, UNKNOWN_OPTION: 1})
    except ConfigError as error:
        expect(UNKNOWN_OPTION in str(error), f"the message does not name the unknown option: {error}")
    else:
        expect(False, 'an unknown option is accepted; derive the options from a class with extra="forbid"')


def documented(subject: Subject) -> None:
    """The component has a summary."""
    expect(bool(subject.spec.summary), "the spec has no summary, which `platform plugins list` shows")


SPEC_CHECKS = (light_imports, targets, options, unknown_option, documented)


def _plugin_modules(owner: PluginStatus) -> list[str]:
    return [owner.entry_point.module] if owner.entry_point else []


def _json_path() -> str:
    """The module path of this process, for one that it starts."""
    return json.dumps([path or str(Path.cwd()) for path in sys.path])
