"""profile.json of a run: the size of its model, and where its time went, by the figures that it logged anyway."""

import logging
from collections.abc import Mapping
from itertools import pairwise
from statistics import median
from typing import Any

from lightning_fabric import Fabric

from medvid.config.checked import CheckedTask
from medvid.devices.precision import precision_of
from medvid.files import write_json
from medvid.machine import usable_cores
from medvid.models.counting import ModelSize, count_model
from medvid.models.model import Model
from medvid.plugin.info import InputInfo
from medvid.runs.folder import RunFolder, read_metrics
from medvid.runs.verdict import verdict

logger = logging.getLogger("medvid")


def size_of(model: Model, input_info: InputInfo) -> dict[str, Any]:
    """Parameters and multiply-adds, of the model and its stages.

    Args:
        model: as built.
        input_info: what one input is.

    Returns:
        ``parameters``, ``multiply_adds`` (None where the model reads values of its tensors), ``input``, ``stages``.
    """
    try:
        counted: ModelSize | None = count_model(model, input_info)
    except Exception as error:  # of whatever a model does: a run does not depend on it
        logger.debug("the multiply-adds cannot be counted: %s", error, exc_info=True)
        counted = None
    parameters = sum(parameter.numel() for parameter in model.parameters())
    stages = {"backbone": counted.backbone, "head": counted.head} if counted else {}
    return {
        "input": [input_info.channels, *input_info.size],
        "parameters": parameters,
        "multiply_adds": counted.whole.multiply_adds if counted else None,
        "stages": {
            name: {"parameters": size.parameters, "multiply_adds": size.multiply_adds} for name, size in stages.items()
        },
    }


def time_of_run(folder: RunFolder) -> dict[str, Any]:
    """What the figures in a run folder tell of its training.

    Returns:
        ``seconds_per_step``, the median; ``steps``; and ``shares`` of the time by part, as `medvid.runs.verdict` names
        them. Empty for a training that logged no steps.
    """
    records = read_metrics(folder.metrics)
    speeds = [record for record in records if record["split"] == "perf"]
    if not speeds:
        return {}
    steps = [speeds[0]["step"], *(later["step"] - one["step"] for one, later in pairwise(speeds))]
    counted = [(max(0, count), record["values"]) for count, record in zip(steps, speeds, strict=True)]
    data = sum(count * values["data_time"] for count, values in counted)
    compute = sum(count * (values["step_time"] - values["data_time"]) for count, values in counted)
    evaluation, others = _beside_steps(records)
    total = data + compute + evaluation + others
    parts = {"data": data, "compute": compute, "evaluation": evaluation, "records": others}
    return {
        "steps": sum(count for count, _ in counted),
        "seconds_per_step": median(values["step_time"] for _, values in counted),
        "shares": {name: seconds / total for name, seconds in parts.items()} if total else {},
    }


def _beside_steps(records: list[dict[str, Any]]) -> tuple[float, float]:
    """Seconds of validations, and of all else between logged steps; a pause before a resumption does not count."""
    evaluation = others = 0.0
    ends, last_step = None, 0
    for record in records:
        if record["split"] == "perf":
            took = record["values"]["step_time"] * (record["step"] - last_step)
            if ends is not None and 0 <= record["time"] - ends - took < max(60.0, took):
                others += record["time"] - ends - took
            ends, last_step = record["time"], record["step"]
        elif record["split"] != "train" and ends is not None:
            evaluation += max(0.0, record["time"] - ends)
            ends = record["time"]
    return evaluation, others


def write_profile(folder: RunFolder, size: Mapping[str, Any], checked: CheckedTask, fabric: Fabric) -> None:
    """Write profile.json of a run that is over.

    Args:
        folder: of the run.
        size: from `size_of`.
        checked: its task.
        fabric: has the precision.
    """
    time = time_of_run(folder)
    if shares := time.get("shares"):
        time["verdict"] = verdict(shares, checked.task, precision_of(fabric), usable_cores())
    write_json(folder.profile, {"model": dict(size), "training": time})
