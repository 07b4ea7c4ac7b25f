"""Bytes become what a model gets before their values are changed: a change of a tenth of a deviation is not a byte."""

from dataclasses import replace

from medvid.data.batch import Batch


def as_floats(batch: Batch) -> Batch:
    """The batch with its input as float32; bytes are normalised, and what was erased of them is."""
    return replace(batch, input=batch.pixels.normalise(batch.input), pixels=None) if batch.pixels else batch
