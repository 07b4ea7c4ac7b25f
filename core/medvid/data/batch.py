"""Draws and batches: what a data set hands to the training loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_NARROW = (torch.uint8, torch.int8, torch.int16, torch.int32)
"""Types that class ids travel as, where they and `medvid.plugin.info.UNKNOWN` fit."""


@dataclass(frozen=True, slots=True)
class Erased:
    """Values that replace a rectangle of an example after it is normalised.

    Args:
        top: row of its first line.
        left: column of its first pixel.
        values: (C, ..., height, width) float32.
    """

    top: int
    left: int
    values: Tensor

    def put_into(self, example: Tensor) -> None:
        """Replace the rectangle of an example (C, *S), in place."""
        height, width = self.values.shape[-2:]
        place = example[..., self.top : self.top + height, self.left : self.left + width]
        place.copy_(self.values, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Pixels:
    """How bytes become the input of a model: divide by 255, subtract the mean, divide by the standard deviation.

    A data set can hand over bytes with this instead of float32, which is a quarter of the traffic.

    Args:
        mean: (C,) float32.
        std: (C,) float32.
        erased: one entry per example, None where nothing is erased.
    """

    mean: Tensor
    std: Tensor
    erased: tuple[Erased | None, ...]

    def normalise(self, input: Tensor) -> Tensor:
        """Input (N, C, *S) uint8 as float32, contiguous, on the same device."""
        shape = (-1, *[1] * (input.ndim - 2))
        mean, std = (self._beside(values, input).view(shape) for values in (self.mean, self.std))
        output = torch.empty_like(input, dtype=torch.float32, memory_format=torch.contiguous_format).copy_(input)
        # A tensor, as GPUs multiply by the rounded inverse of a plain number.
        output.div_(output.new_full((), 255)).sub_(mean).div_(std)
        for example, erased in zip(output, self.erased, strict=True):
            if erased:
                erased.put_into(example)
        return output

    @staticmethod
    def _beside(values: Tensor, input: Tensor) -> Tensor:
        return values.to(input.device, non_blocking=True)

    def pin_memory(self) -> "Pixels":
        """A copy in pinned host memory."""
        erased = (each and replace(each, values=each.values.pin_memory()) for each in self.erased)
        return Pixels(self.mean.pin_memory(), self.std.pin_memory(), (*erased,))


@dataclass(frozen=True, slots=True)
class Pending:
    """Changes that some successive examples of a batch still await, to be made on their device.

    Args:
        examples: how many.
        changes: in their order; each gets these examples alone, as a batch.
    """

    examples: int
    changes: "tuple[Change, ...]"


@dataclass(frozen=True, slots=True)
class Batch:
    """Training examples, of one case or of several.

    Args:
        input: (N, C, *S) float32; or uint8, with `pixels`.
        target: N targets, of the shapes and types in `medvid.plugin.info`.
        cases: the case of each of the N examples.
        pixels: how the bytes of the input become float32, on the model's device.
        mask: (N, *S) bool, outside of which the input was 0 before the transforms, by the data set's own mask or else
            in all channels; while they are applied, if one asks for it.
        size: *S that a transform is to cut the examples down to, about their middle; None: they are that size.
        pending: changes to make on the device, of all examples or of none, see `medvid.data.transforms.deferred`.
    """

    input: Tensor
    target: Tensor
    cases: tuple[str, ...]
    pixels: Pixels | None = None
    mask: Tensor | None = None
    size: tuple[int, ...] | None = None
    pending: tuple[Pending, ...] = ()

    def then(self, change: "Change") -> "Batch":
        """The batch changed: at once, or, where changes are pending, after those."""
        if not self.pending:
            return change(self)
        return replace(self, pending=tuple(replace(each, changes=(*each.changes, change)) for each in self.pending))

    def to(self, device: torch.device, memory_format: torch.memory_format = torch.preserve_format) -> "Batch":
        """The batch as models and heads take it, on a device; the copy is asynchronous if host memory is pinned.

        The input is float32, class ids are int64, and changes that were pending are made.
        """
        there = replace(
            self,
            input=self.input.to(device, non_blocking=True),
            target=self.target.to(device, non_blocking=True),
            mask=None if self.mask is None else self.mask.to(device, non_blocking=True),
        )
        there = there._changed() if there.pending else there
        values, target = there.input, there.target
        return replace(
            there,
            input=(there.pixels.normalise(values) if there.pixels else values).to(memory_format=memory_format),
            target=target.long() if target.dtype in _NARROW else target,
            pixels=None,
        )

    def _changed(self) -> "Batch":
        """With the changes made that are pending."""
        parts, start = [], 0
        for each in self.pending:
            part = self._part(slice(start, start + each.examples))
            for change in each.changes:
                part = change(part)
            parts.append(part)
            start += each.examples
        return concatenate(parts)

    def _part(self, chosen: slice) -> "Batch":
        """Some of the examples, with nothing pending."""
        return Batch(
            self.input[chosen],
            self.target[chosen],
            self.cases[chosen],
            self.pixels and replace(self.pixels, erased=self.pixels.erased[chosen]),
            None if self.mask is None else self.mask[chosen],
            self.size,
        )

    def pin_memory(self) -> "Batch":
        """A copy in pinned host memory, from which a GPU copies asynchronously."""
        return replace(
            self,
            input=self.input.pin_memory(),
            target=self.target.pin_memory(),
            pixels=self.pixels and self.pixels.pin_memory(),
            mask=None if self.mask is None else self.mask.pin_memory(),
        )


Change = Callable[[Batch], Batch]


def collate(draws: Sequence[Batch]) -> Batch:
    """Concatenate the examples of several cases; label ids get the smallest type that holds them."""
    batch = concatenate(draws)
    return replace(batch, target=_narrow(batch.target))


def concatenate(draws: Sequence[Batch]) -> Batch:
    """Concatenate examples along N."""
    masks = [each.mask for each in draws if each.mask is not None]
    return Batch(
        input=torch.cat([each.input for each in draws]),
        target=torch.cat([each.target for each in draws]),
        cases=tuple(case for each in draws for case in each.cases),
        pixels=_concatenate_pixels([each.pixels for each in draws]),
        mask=torch.cat(masks) if masks else None,
        size=draws[0].size,
        pending=tuple(pending for each in draws for pending in each.pending),
    )


def with_target_type(batch: Batch, dtype: torch.dtype) -> Batch:
    """The batch with its target in another type."""
    return replace(batch, target=batch.target.to(dtype))


def _concatenate_pixels(pixels: Sequence[Pixels | None]) -> Pixels | None:
    """Concatenate along N; mean and standard deviation are the data set's, the same for all."""
    first = pixels[0]
    return first and replace(first, erased=tuple(erased for each in pixels if each for erased in each.erased))


def _narrow(labels: Tensor) -> Tensor:
    if labels.dtype != torch.int64 or not labels.numel():
        return labels
    low, high = (int(value) for value in labels.aminmax())
    fitting = (dtype for dtype in _NARROW if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max)
    return labels.to(next(fitting, torch.int64))
