"""Which backbone serves which axes, and how. `medvid.models.axes` does what is decided here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from medvid.config.options import BackboneOptions
from medvid.errors import ConfigError
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import Axes, BackboneSpec

SLICES: dict[Axes, int] = {"volume": 2, "video": 0}
"""Index in *S of the axis that an image lacks: the slices of (X, Y, Z), the frames of (T, H, W).

The axes of a volume are (R, A, S), so its slices are axial. They are fed as they lie in memory: rows, H, run to the
patient's right and columns, W, to the front, which is not how a radiologist looks at them.
"""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a backbone serves axes that are not its own.

    Args:
        kind: ``fold`` the axis of slices into the batch; ``move`` it to where the other axes have it; ``insert`` it.
        given: the axes of the inputs.
        native: the axes that the backbone takes.
        manner: how the backbone runs then, in words.
    """

    kind: Literal["fold", "move", "insert"]
    given: Axes
    native: Axes
    manner: str

    def inner(self, given: InputInfo, options: BackboneOptions) -> InputInfo:
        """What the backbone itself is fed, and has to be built for, where the model is fed this."""
        size = list(given.size)
        depth = size.pop(SLICES[given.axes]) if self.kind != "insert" else options.frames_of_image()
        if self.kind != "fold":
            size.insert(SLICES[self.native], depth)
        return replace(given, axes=self.native, size=tuple(size))


ADAPTATIONS = (
    Adaptation("move", "volume", "video", "with slices as frames"),
    Adaptation("move", "video", "volume", "with frames as slices"),
    Adaptation("fold", "volume", "image", "slice by slice"),
    Adaptation("fold", "video", "image", "frame by frame"),
    Adaptation("insert", "image", "video", "as clips of one picture"),
    Adaptation("insert", "image", "volume", "as volumes of one slice"),
)
"""In the order of preference: a backbone of three axes sees more than one of two."""


def find_adaptation(backbone: BackboneSpec, options: BackboneOptions, given: InputInfo) -> Adaptation | None:
    """How a backbone takes these inputs: as they are, None, or in the first manner that suits its options.

    Raises:
        ConfigError: in none; says what is in the way of the first one.
    """
    problem = ""
    for adaptation in _candidates(backbone, given.axes):
        manner = f" {adaptation.manner}" if adaptation else ""
        try:
            options.check_input(adaptation.inner(given, options) if adaptation else given)
        except ValueError as error:
            problem = problem or f"backbone {backbone.name!r} cannot take these {given.axes}s{manner}: {error}"
        else:
            return adaptation
    raise ConfigError(problem)


def _candidates(backbone: BackboneSpec, axes: Axes) -> Iterator[Adaptation | None]:
    if axes in backbone.axes:
        yield None
    yield from (item for item in ADAPTATIONS if item.given == axes and item.native in backbone.axes)


def plural(axes: Iterable[Axes]) -> str:
    """The axes in a sentence, e.g. ``images and volumes``."""
    return " and ".join(f"{axes}s" for axes in axes)
