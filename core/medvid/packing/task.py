"""The task of a packed model: that of its run, without paths, lists of cases, and what its training began with."""

from pathlib import Path
from typing import Any

from medvid.config.task import Task

ROOT = "data"
"""Instead of the data set's folder, which other machines do not have."""
_DATA = ("split", "fold", "datalist", "cache", "lists")
"""Options of data sets that name cases, or files with names of cases."""


def packed_task(task: Task) -> Task:
    """The task as it is packed.

    Args:
        task: of the run.
    """
    dataset = _without_paths(task.dataset, _DATA).model_copy(update={"root": Path(ROOT)})
    fields = Task.model_fields
    return task.model_copy(
        update={
            "dataset": dataset,
            "backbone": _without_weights(task.backbone),
            "output": fields["output"].get_default(call_default_factory=True),
            "tracking": type(task.tracking)(),
        }
    )


def _without_paths(options: Any, names: tuple[str, ...]) -> Any:
    """The options with defaults for those that are paths, or have one of these names."""
    kept = {name: field for name, field in type(options).model_fields.items() if not field.is_required()}
    private = [name for name in kept if isinstance(getattr(options, name), Path) or name in names]
    return options.model_copy(update={name: kept[name].get_default(call_default_factory=True) for name in private})


def _without_weights(options: Any) -> Any:
    """A backbone's options without the weights that its training began with, also of backbones inside it."""
    changed: dict[str, Any] = {"weights": None} if "weights" in type(options).model_fields else {}
    changed |= {name: _without_weights(value) for name, value in options if hasattr(value, "weights")}
    return options.model_copy(update=changed)
