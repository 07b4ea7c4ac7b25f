"""What a model is fed and what it has to predict, known before anything heavy is imported.

A target is *where* times *what*. These are the nine, as a batch has them and as a head predicts them (B examples of
axes *S, T frames of a video or slices of a volume, C classes, L labels, V values):

=====  ======  ============  ============
where  what    target        output
=====  ======  ============  ============
case   class   (B,)          (B, C)
case   labels  (B, L)        (B, L)
case   value   (B, V)        (B, V)
frame  class   (B, T)        (B, T, C)
frame  labels  (B, T, L)     (B, T, L)
frame  value   (B, T, V)     (B, T, V)
voxel  class   (B, *S)       (B, C, *S)
voxel  labels  (B, L, *S)    (B, L, *S)
voxel  value   (B, V, *S)    (B, V, *S)
=====  ======  ============  ============

Targets are int64 ids for classes, else float32: 0 or 1 for labels, numbers in their units for values. Outputs are
logits for classes and labels, numbers for values. A case, frame, voxel or single label that is not annotated is
`UNKNOWN` in a target of classes or labels and NaN in one of values: it counts in no loss, no sampling weight and no
figure.

A case may lack some of the labels: nobody drew them, so what is not drawn may be background or any of them. Such voxels
(frames, cases) of exclusive classes are `none_of` those that were drawn, a number below `UNKNOWN`. Independent labels
that were not drawn are simply unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from medvid.plugin.specs import Axes, What, Where

UNKNOWN = -1
"""Stands in targets of classes and labels where nobody has annotated."""
MOST = 62
"""The highest class that can be told not to be there, in the 64 bits of a target."""


def none_of(classes: Iterable[int]) -> int:
    """Stands in a target where all that is known is that it is none of these classes; of no classes it is `UNKNOWN`.

    In two's complement it has the bits of all classes that are possible.

    Raises:
        ValueError: one of them is below 0 or above `MOST`.
    """
    drawn = set(classes)
    if drawn and not 0 <= min(drawn) <= max(drawn) <= MOST:
        raise ValueError(f"only classes 0 to {MOST} can be told to be absent, got {sorted(drawn)}")
    return ~sum(1 << number for number in drawn)


Answered = Literal["all", "last", "centre"]
"""Which frames of a window are answered: all; the last one, from it and those before it, as one can while a video is
being recorded; or the one in the centre, from those before and after it."""


@dataclass(frozen=True, slots=True)
class InputInfo:
    """What a model is fed: (B, channels, *size).

    Args:
        axes: the meaning of the axes *S, see `medvid.plugin.specs.Axes`.
        channels: number of channels.
        size: length of each axis *S in training, in voxels, pixels and frames.
        step: distance of the frames, or slices, of a window, where each has an answer of its own; 1: neighbours.
        answered: which of them the window answers.
    """

    axes: Axes
    channels: int
    size: tuple[int, ...]
    step: int = 1
    answered: Answered = "all"


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What a data set is annotated with, and so what a model predicts.

    Args:
        where: what has an annotation of its own: each case, each frame, or each voxel.
        what: exactly one class, any number of labels, or values.
        names: of the classes, labels or values, in order; of voxels, class 0 is the background.
        units: of the values, one each; empty for classes and labels.
        has_unknown: whether any annotation may be missing. Where none can be, nothing is computed for it.
        means: of the values over the training cases, in their units, one each; empty where they are not known.
        deviations: their standard deviations, likewise.
        has_partial: whether some cases may lack some of the classes, see `none_of`; then `has_unknown` holds too.

    Raises:
        ValueError: there is not one unit for each value, or not a mean and a deviation above 0; or `has_partial` does
            not go with the rest.
    """

    where: Where
    what: What
    names: tuple[str, ...]
    units: tuple[str, ...] = ()
    has_unknown: bool = False
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    has_partial: bool = False

    def __post_init__(self) -> None:
        if self.has_partial and not (self.has_unknown and self.what == "class"):
            raise ValueError("has_partial is for targets of classes that has_unknown is set for")
        wanted = len(self.names) if self.what == "value" else 0
        if len(self.units) != wanted:
            raise ValueError(f"{wanted} units are needed for {self.what} targets, got {len(self.units)}")
        if len(self.means) not in {0, wanted} or len(self.deviations) != len(self.means):
            raise ValueError(f"{wanted} means and deviations are needed, got {self.means} and {self.deviations}")
        if not all(value > 0 for value in self.deviations):
            raise ValueError(f"standard deviations have to be above 0, got {self.deviations}")

    def target_shape(self, axes: Axes, size: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the target of one example of this size *S."""
        places = self._places(axes, size)
        names = () if self.what == "class" else (len(self.names),)
        return (*names, *places) if self.where == "voxel" else (*places, *names)

    def output_shape(self, axes: Axes, size: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what a head predicts of one example of this size *S."""
        places = self._places(axes, size)
        return (len(self.names), *places) if self.where == "voxel" else (*places, len(self.names))

    def _places(self, axes: Axes, size: tuple[int, ...]) -> tuple[int, ...]:
        if self.where == "frame":
            if axes == "image":
                raise ValueError("an image has no frames to annotate: use where='case'")
            return (size[0 if axes == "video" else -1],)
        return size if self.where == "voxel" else ()


def described(where: Where, what: What) -> str:
    """A kind of target in words: "a class per voxel", "labels per case"."""
    return f"{'labels' if what == 'labels' else f'a {what}'} per {where}"
