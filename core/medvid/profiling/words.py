"""A profile for people: rows of a table, with units."""

from collections.abc import Iterator, Mapping
from typing import Any

from medvid.profiling.inference import InferenceSpeed
from medvid.profiling.profile import Profile
from medvid.profiling.training import TrainingSpeed
from medvid.training.footprint import gibibytes

Row = tuple[str, str]


def rows_of(profile: Profile) -> Iterator[Row]:
    """What was found, and its number."""
    yield "device", profile.device
    yield from size_rows(profile.model)
    if profile.memory:
        told = f"{gibibytes(profile.memory.training)} for a training step, {gibibytes(profile.memory.inference)}"
        yield "memory, estimated", f"{told} for a batch of inference"
    yield from _inference(profile.inference)
    if profile.training:
        yield from _training(profile.training)
    if profile.validation is not None:
        yield "validation", f"{seconds(profile.validation)} a case"
    if profile.shares:
        yield "shares of the time", share_words(profile.shares)
    if profile.verdict:
        yield "verdict", profile.verdict


def size_rows(model: Mapping[str, Any]) -> Iterator[Row]:
    """Of `medvid.runs.short_profile.size_of`."""
    yield "input", " x ".join(map(str, model["input"]))
    stages = model["stages"]
    yield "parameters", _of_stages(model["parameters"], stages, "parameters")
    if model["multiply_adds"] is not None:
        yield "multiply-adds of an input", _of_stages(model["multiply_adds"], stages, "multiply_adds")
    else:
        yield "multiply-adds of an input", "cannot be counted, as the model reads values of its tensors"


def share_words(shares: Mapping[str, float]) -> str:
    """Shares of the time by part."""
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def _of_stages(whole: int, stages: Mapping[str, Mapping[str, int]], key: str) -> str:
    parts = ", ".join(f"{name} {large(numbers[key])}" for name, numbers in stages.items())
    return large(whole) + (f" ({parts})" if parts else "")


def _inference(speed: InferenceSpeed) -> Iterator[Row]:
    times = speed.latency
    yield (
        "latency of an input",
        f"median {seconds(times.median)}, p90 {seconds(times.p90)}, p99 {seconds(times.p99)} of {times.calls} "
        f"(backbone {seconds(speed.backbone)}, head {seconds(speed.head)})",
    )
    memory = f", {gibibytes(speed.peak)} at most" if speed.peak is not None else ""
    energy = f", {speed.energy:.3g} J each" if speed.energy is not None else ""
    yield "throughput", f"{speed.throughput:.3g} inputs/s in batches of {speed.batch}{memory}{energy}"


def _training(speed: TrainingSpeed) -> Iterator[Row]:
    parts = ", ".join(f"{name} {seconds(taken)}" for name, taken in speed.parts.items())
    times = speed.step
    yield "training step", f"median {seconds(times.median)}, p90 {seconds(times.p90)} of {times.calls} ({parts})"
    memory = f", {gibibytes(speed.peak)} at most" if speed.peak is not None else ""
    yield "training", f"{speed.cases:.3g} cases/s{memory}"


def large(number: int) -> str:
    """In thousands, millions (M) or billions (G), with one digit after the point, as papers write it."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def seconds(time: float) -> str:
    """With three digits, in ms below a second."""
    return f"{time:.3g} s" if time >= 1 else f"{time * 1e3:.3g} ms"
