"""Which backbone serves which layout, and how. `medvid.models.layout` does what is decided here."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec, Layout


@dataclass(frozen=True, slots=True)
class Fold:
    """A backbone of images serves a layout of three axes: one of them is folded into the batch.

    Args:
        axis: index of that axis in *S.
        manner: how the backbone runs then, in words.
    """

    axis: int
    manner: str

    def inner(self, given: InputInfo) -> InputInfo:
        """What the backbone itself is fed, and has to be built for, where the model is fed this."""
        size = tuple(length for axis, length in enumerate(given.size) if axis != self.axis)
        return replace(given, layout="image", size=size)


FOLDS: dict[Layout, Fold] = {
    "volume": Fold(axis=2, manner="slice by slice"),
    "video": Fold(axis=0, manner="frame by frame"),
}
"""How a backbone of images serves other layouts.

The axes of a volume are (R, A, S), so its slices are axial. They are fed as they lie in memory: rows, H, run to the
patient's right and columns, W, to the front, which is not how a radiologist looks at them.
"""


def find_fold(backbone: BackboneSpec, layout: Layout) -> Fold | None:
    """How a backbone that can serve a layout does so; None where it takes it as it is."""
    return None if layout in backbone.layouts else FOLDS[layout]


def serves(backbone: BackboneSpec, layout: Layout) -> bool:
    """Whether a backbone takes a layout as it is, or can be made to."""
    return layout in backbone.layouts or ("image" in backbone.layouts and layout in FOLDS)


def plural(layouts: Iterable[Layout]) -> str:
    """The layouts in a sentence, e.g. ``images and volumes``."""
    return " and ".join(f"{layout}s" for layout in layouts)
