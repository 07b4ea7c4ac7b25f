"""`platform plugins list` with 50 third-party distributions, three of them broken: has to stay below 0.6 s.

    python benchmarks/plugins_list.py [--distributions N] [--rounds N] [--quick]

Each is a wheel's worth of metadata and code (ten modules, a description as long as a README), is listed with its hash,
and contributes one component. Commands run in processes of their own, in turns. What Python itself takes, and the list
without third parties, are shown beside it; the rest is reading metadata, hashing, and importing the light modules.
"""

import argparse
import base64
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common import count, print_table

BROKEN = ("1 / 0", "import medvid_is_not_there", "import sys; sys.exit(0)")
LIMIT = 0.6
MODULES = 10
MODULE = '"""A module of some size."""\n' + "def function(value: int) -> int:\n    return value + 1\n" * 200
PLUGIN = """
from medvid.plugin import BackboneSpec, hookimpl

@hookimpl
def medvid_components():
    yield BackboneSpec(name="{name}", target="{name}.m0:Net", config="{name}.m1:Options", axes=(), features=())
"""


def install(folder: Path, name: str, plugin: str) -> str:
    """Write a distribution as pip does; returns its entry in plugins.toml."""
    sources = {f"{name}/__init__.py": "", f"{name}/plugin.py": plugin}
    sources |= {f"{name}/m{number}.py": MODULE for number in range(MODULES)}
    record = ""
    for path, text in sources.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    requires = "Requires-Dist: medvid>=0.1\nRequires-Dist: numpy>=1.26\nRequires-Dist: torch>=2\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{requires}\n{MODULE}")
    (info / "entry_points.txt").write_text(f"[medvid.plugins]\n{name} = {name}.plugin\n")
    (info / "RECORD").write_text(record)
    digest = hashlib.sha256(record.encode()).hexdigest()
    entry = f'distribution = "{name}"\nversion = "==1.0"\nentry_point = "{name}"\nrecord_sha256 = "{digest}"\n'
    return f"\n[[plugin]]\n{entry}"


def measure(command: list[str], folder: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Wall time and CPU time of a command, in seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--distributions", type=count, default=50)
    parser.add_argument("--rounds", type=count, default=15)
    parser.add_argument("--quick", action="store_true", help="few of both, to see that it works")
    arguments = parser.parse_args()
    installed, rounds = (5, 2) if arguments.quick else (arguments.distributions, arguments.rounds)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        site, allowed = folder / "site-packages", folder / "allowed.toml"
        site.mkdir()
        faults = dict(enumerate(BROKEN))
        names = [f"ext{number}" for number in range(installed)]
        entries = [install(site, name, faults.get(n, PLUGIN.format(name=name))) for n, name in enumerate(names)]
        allowed.write_text("schema = 1\n" + "".join(entries))
        listing = [sys.executable, "-m", "medvid", "plugins", "list"]
        bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MEDVID_PLUGINS")}
        full = bare | {"PYTHONPATH": str(site)}
        commands = {
            "python": ([sys.executable, "-c", "pass"], bare),
            "list, no third party": (listing, bare),
            f"list, {installed} not enabled": (listing, full),
            f"list, {installed} enabled": ([*listing, "--plugins", str(allowed)], full),
        }
        shown = subprocess.run(
            commands[f"list, {installed} enabled"][0], cwd=folder, env=full, capture_output=True, text=True, check=False
        )
        assert shown.stdout.count(" is broken: ") == len(BROKEN), shown.stdout
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(1 + rounds):  # the first fills caches
            for name, (command, variables) in commands.items():
                times[name].append(measure(command, folder, variables)) if turn else measure(command, folder, variables)
    rows = [
        (name, f"{median(wall for wall, _ in found):.3f}", f"{median(cpu for _, cpu in found):.3f}")
        for name, found in times.items()
    ]
    print_table(("command", "wall time (s)", "CPU time (s)"), rows)
    print(f"\nlimit for {installed} enabled: {LIMIT} s")


if __name__ == "__main__":
    main()
