"""The sample overlay: a task on a data set that is generated on the spot instead of the real one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from medvid.config.options import DatasetOptions, Options

Block = dict[str, Any]


class SampleOverlay(Options):
    """What a task file's ``sample:`` block may hold: changes of the task for its generated data set."""

    generate: Block = Field(default_factory=dict)
    """Options of the data set's generator."""
    dataset: Block = Field(default_factory=dict)
    backbone: Block = Field(default_factory=dict)
    head: Block = Field(default_factory=dict)
    train: Block = Field(default_factory=dict)
    evaluation: Block = Field(default_factory=dict)


def sample_folder(dataset: DatasetOptions, generate: Mapping[str, object]) -> Path:
    """The folder of a generated data set: the same options give the same folder, so it is generated once.

    Args:
        dataset: options of the data set.
        generate: options of its generator, validated and as JSON values.
    """
    content = json.dumps([dataset.name, generate], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return dataset.cache.expanduser() / "samples" / f"{dataset.name}-{digest}"
