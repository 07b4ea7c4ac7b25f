"""The demo overlay: a task on a data set that is generated on the spot instead of the real one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from medvid.config.components import generator_options_of
from medvid.config.options import DatasetOptions, Options
from medvid.plugin.host import Host
from medvid.plugin.specs import DatasetSpec

if TYPE_CHECKING:
    from medvid.config.task import Task

Block = dict[str, Any]


class DemoOverlay(Options):
    """What a task file's ``demo:`` block may hold: changes of the task for its generated data set."""

    generate: Block = Field(default_factory=dict)
    """Options of the data set's generator."""
    dataset: Block = Field(default_factory=dict)
    backbone: Block = Field(default_factory=dict)
    head: Block = Field(default_factory=dict)
    train: Block = Field(default_factory=dict)
    evaluation: Block = Field(default_factory=dict)


def demo_folder(dataset: DatasetOptions, generate: Mapping[str, object]) -> Path:
    """The folder of a generated data set: the same options give the same folder, so it is generated once.

    Args:
        dataset: options of the data set.
        generate: options of its generator, validated and as JSON values.
    """
    content = json.dumps([dataset.name, generate], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return dataset.cache.expanduser() / "demos" / f"{dataset.name}-{digest}"


def generate_demo(task: "Task", host: Host) -> None:
    """Generate the demo data of a task that runs on them, unless they are there; processes may do so at once."""
    if task.demo:
        write_demo(host, host.spec(DatasetSpec, task.dataset.name), task.dataset.root, task.demo.generate)


def write_demo(host: Host, spec: DatasetSpec, folder: Path, generate: Mapping[str, object]) -> None:
    """Write demo data of a data set that has some.

    Args:
        host: has the data set.
        spec: its spec.
        folder: to be made.
        generate: options of its generator.
    """
    options = generator_options_of(host, spec).model_validate(generate)
    host.load(spec, spec.demo)(folder, options)
