"""What the shipped tasks need and do on a device: memory, steps per second, and ratios to published code.

    python tests/gpu/report.py [--device cuda|cpu] [--parts NAME ...] [--tasks NAME ...] [--compile] [--quick]

Runs without pytest, and on one GPU in less than five minutes: each part has its own time, and says where that was not
enough. No data set is needed: tasks are fed random numbers of their own sizes. The part `memory` computes nothing and
gives the estimates of `platform check`, on any machine; it has to be asked for.

- tasks: each shipped task at full size with its own batch, or half of it, and so on, if it does not fit: peak memory,
  what was estimated, and steps per second in its own precision, and compiled if asked for.
- references: the networks of benchmarks/ against the published ones, both in bf16, in turns.
- depthwise: a convolution of each channel on its own, as MViT pools, forward and backward, in both memory formats.
- deterministic: the price of `train.deterministic`.
- memory: estimates for all tasks in bf16, and the largest batch for cards of several sizes.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import torch  # noqa: E402
from common import peak_memory, print_table, stopwatch, take_turns  # noqa: E402
from contest import Contest, Medvid, Published  # noqa: E402
from torch import nn  # noqa: E402

from medvid.config.checked import check_task  # noqa: E402
from medvid.config.load import load_task  # noqa: E402
from medvid.config.task import Task  # noqa: E402
from medvid.data.batch import Batch  # noqa: E402
from medvid.models.build import build_model  # noqa: E402
from medvid.models.model import Model  # noqa: E402
from medvid.plugin.host import make_host  # noqa: E402
from medvid.scarcity import as_resource_error  # noqa: E402
from medvid.training.device import describe_device, make_fabric  # noqa: E402
from medvid.training.footprint import estimate, gibibytes  # noqa: E402
from medvid.training.loop import Trainer  # noqa: E402

TASKS = sorted(path.stem for path in (ROOT / "tasks").glob("*.yaml"))
BUDGETS = {"tasks": 120.0, "references": 70.0, "depthwise": 20.0, "deterministic": 50.0, "memory": 900.0}
"""Seconds of each part."""
CARDS = (16, 24, 40, 80)
"""GB, of which a tenth is left for what estimates do not know."""
HOST = make_host()


@dataclass(frozen=True)
class Settings:
    """What was asked for.

    Args:
        tasks: names of the tasks.
        quick: samples of the tasks and small networks, two steps of each.
        compiled: measure compiled models too.
    """

    tasks: Sequence[str]
    quick: bool
    compiled: bool

    @property
    def steps(self) -> int:
        """That are timed."""
        return 2 if self.quick else 10


class Deadline:
    """The end of a part's time."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def has_passed(self) -> bool:
        return time.monotonic() > self._end


class Silent:
    """Is told of a training and says nothing."""

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None: ...

    def saved(self, path: Path, step: int, is_best: bool) -> None: ...


def read_task(name: str, settings: Settings, **train: Any) -> Task:
    """A shipped task, without its data; a step takes one batch."""
    overrides = ["train.accumulate=1", "train.base_batch_size=null"]
    overrides.append("train.batch_size=2" if settings.quick else "dataset.if_missing=error")
    overrides += [f"train.{key}={value}" for key, value in train.items()]
    if name.endswith("_kinetics"):  # 400 classes, or a few
        names = ", ".join(f"class {number}" for number in range(4 if settings.quick else 400))
        overrides.append(f"dataset.classes=[{names}]")
    return load_task(ROOT / "tasks" / f"{name}.yaml", HOST, overrides=overrides, demo=settings.quick)


def make_batch(task: Task) -> Batch:
    info, target_info = task.dataset.input_info(), task.dataset.target_info()
    count = task.train.batch_size * task.dataset.examples_per_case()
    shape = target_info.target_shape(info.axes, info.size)
    target = torch.randint(len(target_info.names), (count, *shape))
    return Batch(torch.rand(count, info.channels, *info.size), target, tuple(map(str, range(count))))


def make_trainer(task: Task, model: Model) -> Trainer:
    fabric = make_fabric(task.train)
    fabric.launch()
    return Trainer(fabric, model, task.train, task.seed, len(task.dataset.input_info().size), HOST.build)


def seconds_per_step(task: Task, steps: int, deadline: Deadline) -> float:
    """Median over steps on one batch, of which the first ones, which choose algorithms or compile, do not count."""
    trainer = make_trainer(task, build_model(check_task(task, HOST)))
    batch = make_batch(task).to(trainer.fabric.device, trainer.memory_format)  # runs copy it while they compute
    measured: list[float] = []
    for number in range(2 + steps):
        with stopwatch(trainer.fabric.device) as watch:
            trainer.fit(repeat(batch), number + 1, Silent(), interrupted=lambda: False)
        if number >= 2 or deadline.has_passed:
            measured.append(watch.seconds)
        if deadline.has_passed:
            break
    return median(measured)


def fitting(task: Task, measure: Callable[[Task], float]) -> tuple[Task, float]:
    """Measure a task with the largest batch that fits: its own, or half of it, and so on.

    Raises:
        Exception: anything else than that memory ran out, or that a single case does not fit.
    """
    while True:
        try:
            return task, measure(task)
        except Exception as error:
            if as_resource_error(error) is None or task.train.batch_size == 1:
                raise
            half = task.train.model_copy(update={"batch_size": task.train.batch_size // 2})
            task = task.model_copy(update={"train": half})
        release()


def release() -> None:
    """Let the next measurement begin with an empty device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@contextmanager
def excused(rows: list[list[object]], name: str, columns: int) -> Iterator[None]:
    """Within the block, a failure becomes a row, so that the rest is told."""
    release()
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:80]}"
        rows.append([f"{name} ({reason})", *["-"] * (columns - 1)])


def report_tasks(settings: Settings, deadline: Deadline) -> None:
    columns = ["task", "batch", "precision", "peak memory", "estimated", "steps/s", *["compiled"] * settings.compiled]
    rows: list[list[object]] = []
    for name in settings.tasks:
        if deadline.has_passed:
            rows.append([f"{name} (no time left)", *["-"] * (len(columns) - 1)])
            continue
        with excused(rows, name, len(columns)):
            task, seconds = fitting(
                read_task(name, settings), lambda task: seconds_per_step(task, settings.steps, deadline)
            )
            fabric = make_fabric(task.train)
            peak = gibibytes(peak_memory(fabric.device)) if fabric.device.type == "cuda" else "-"
            checked = check_task(task, HOST)
            footprint = estimate(checked, build_model(checked), fabric)
            examples = task.train.batch_size * task.dataset.examples_per_case()
            told: list[object] = [examples, describe_device(fabric).rpartition(", ")[2], peak]
            told += [gibibytes(footprint.training) if footprint else "-", f"{1 / seconds:.2f}"]
            if settings.compiled:
                release()
                compiled = task.model_copy(update={"train": task.train.model_copy(update={"compile": True})})
                told.append(f"{1 / seconds_per_step(compiled, settings.steps, deadline):.2f}")
            rows.append([name, *told])
    print_table(columns, rows)


def contests(quick: bool) -> Mapping[str, Callable[[], Contest]]:
    """What makes the pairs of benchmarks/, whose libraries need not be installed, by the tasks that they are for."""

    def unetr() -> Contest:
        import unetr as script

        return script.QUICK if quick else script.UNETRContest(batch_size=4)

    def mvit() -> Contest:
        import mvit as script

        return script.quick("mvit_b_16x4") if quick else replace(script.CONTESTS["mvit_b_16x4"], batch_size=8)

    def timesformer() -> Contest:
        import timesformer as script

        return script.QUICK if quick else script.TimeSformerContest(batch_size=8)

    def vivit() -> Contest:
        import vivit as script

        return script.QUICK if quick else script.ViViTContest(batch_size=4)

    return {"unetr_btcv": unetr, "mvit_kinetics": mvit, "timesformer_kinetics": timesformer, "vivit_kinetics": vivit}


def report_references(settings: Settings, deadline: Deadline) -> None:
    columns = ["network of", "reference", "batch", "its steps/s", "medvid's", "ratio"]
    rows: list[list[object]] = []
    for name, make in contests(settings.quick).items():
        if name not in settings.tasks:
            continue
        if deadline.has_passed:
            rows.append([f"{name} (no time left)", *["-"] * (len(columns) - 1)])
            continue
        with excused(rows, name, len(columns)):
            contest = make()
            sides = {"published": Published(contest, "bf16").step, "ours": Medvid(contest, "bf16").step}
            seconds = take_turns(sides, rounds=settings.steps, warm_up=1 if settings.quick else 3)
            published, ours = seconds["published"], seconds["ours"]
            rates = f"{1 / published:.2f}", f"{1 / ours:.2f}", f"{published / ours:.2f} x"
            rows.append([name, contest.reference, contest.batch_size, *rates])
    print_table(columns, rows)


def report_depthwise(settings: Settings, deadline: Deadline) -> None:
    """Kernel 3 x 3 x 3 with stride 1 and with stride 2 in space, for one head's channels, as MViT-B pools first."""
    device = make_fabric(read_task("unetr_btcv", settings).train).device
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    shape = (2, 32, 2, 8, 8) if settings.quick else (32, 96, 8, 56, 56)
    rows: list[list[object]] = []
    for stride in (1, 2):
        if deadline.has_passed:
            break
        kernel = nn.Conv3d(shape[1], shape[1], 3, (1, stride, stride), 1, groups=shape[1], bias=False).to(device, dtype)
        formats = {"channels last": torch.channels_last_3d, "contiguous": torch.contiguous_format}
        passes = {name: depthwise_pass(kernel, shape, axes) for name, axes in formats.items()}
        seconds = take_turns(passes, rounds=settings.steps, warm_up=2)
        last, contiguous = seconds["channels last"], seconds["contiguous"]
        rows.append([f"stride {stride}", f"{1e3 * last:.2f}", f"{1e3 * contiguous:.2f}", f"{last / contiguous:.2f} x"])
    print_table(["depthwise Conv3d", "channels last ms", "contiguous ms", "ratio"], rows)


def depthwise_pass(kernel: nn.Conv3d, shape: Sequence[int], axes: torch.memory_format) -> Callable[[], float]:
    weight = kernel.weight.detach().contiguous(memory_format=axes).requires_grad_()
    images = torch.rand(*shape).to(weight.device, weight.dtype, memory_format=axes).requires_grad_()

    def once() -> float:
        with stopwatch(weight.device) as watch:
            maps = nn.functional.conv3d(images, weight, None, kernel.stride, kernel.padding, groups=kernel.groups)
            torch.autograd.grad(maps.sum(), (images, weight))
        return watch.seconds

    return once


def report_deterministic(settings: Settings, deadline: Deadline) -> None:
    columns = ["task", "deterministic steps/s", "not", "price"]
    rows: list[list[object]] = []
    for name in ("unetr_btcv", "transunet_synapse", "timesformer_kinetics", "medt_glas"):
        if name not in settings.tasks or deadline.has_passed:
            continue
        with excused(rows, name, len(columns)):
            seconds = {}
            for value in ("true", "false"):
                task = read_task(name, settings, deterministic=value)
                _, seconds[value] = fitting(task, lambda task: seconds_per_step(task, settings.steps, deadline))
                release()
            rates = [f"{1 / value:.2f}" for value in seconds.values()]
            rows.append([name, *rates, f"{seconds['true'] / seconds['false']:.2f} x"])
    print_table(columns, rows)


def report_memory(settings: Settings, deadline: Deadline) -> None:
    """Line by line, as the whole takes minutes on few cores."""
    print(f"{'task':32}{'batch':>6}{'held':>10}{'a step':>10}" + "".join(f"{f'{card} GB':>8}" for card in CARDS))
    for name in settings.tasks:
        if deadline.has_passed:
            print(f"{name} (no time left)")
            continue
        precision = "fp32" if name.startswith("medt") else "bf16"
        task = read_task(name, settings, precision=precision)
        checked = check_task(task, HOST)
        footprint = estimate(checked, build_model(checked), make_fabric(task.train))
        assert footprint is not None, "shipped models read no values"
        size = task.train.batch_size
        per_case = (footprint.training - footprint.held) / size
        fitting = "".join(f"{max(0, int((0.9e9 * card - footprint.held) / per_case)):8}" for card in CARDS)
        memory = "".join(f"{gibibytes(count):>10}" for count in (footprint.held, footprint.training))
        print(f"{f'{name}, {precision}':32}{size:6}{memory}{fitting}", flush=True)
    print("The last columns are the cases of a step (batch_size) that fit, each of which gives all of its examples.")


PARTS: dict[str, Callable[[Settings, Deadline], None]] = {
    "tasks": report_tasks,
    "references": report_references,
    "depthwise": report_depthwise,
    "deterministic": report_deterministic,
    "memory": report_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[part for part in PARTS if part != "memory"])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--compile", action="store_true", help="measure compiled models too, which takes minutes each")
    parser.add_argument("--quick", action="store_true", help="samples and small networks, to see that it works")
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        parser.error("this needs a CUDA device; --device cpu --quick shows that the script works")
    settings = Settings(arguments.tasks, arguments.quick, arguments.compile)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"torch {torch.__version__}, {name}")
    for part in arguments.parts:
        print(f"\n{part}")
        began = time.monotonic()
        PARTS[part](settings, Deadline(BUDGETS[part]))
        print(f"({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
