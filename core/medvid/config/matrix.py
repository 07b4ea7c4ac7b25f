"""The matrix of everything with everything: which backbone trains with which head on which layout, and why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from medvid.config.compatibility import check_features
from medvid.config.examples import example_input, fitting_example
from medvid.config.layout import Adaptation, plural
from medvid.errors import MedvidError
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec, Example, HeadSpec, Layout

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


@dataclass(frozen=True, slots=True)
class Cell:
    """A backbone with a head on a layout.

    Args:
        backbone: the backbone.
        head: the head.
        layout: of the data.
        problem: why they do not train; empty if they do.
        example: the options of the backbone that were tried; None where there are none.
        input_info: what the model is fed then.
        adaptation: how the backbone runs on that layout, None where it is its own.
    """

    backbone: BackboneSpec
    head: HeadSpec
    layout: Layout
    problem: str = ""
    example: Example | None = None
    input_info: InputInfo | None = None
    adaptation: Adaptation | None = None

    @property
    def trains(self) -> bool:
        """Whether they fit together."""
        return not self.problem

    @property
    def manner(self) -> str:
        """How the backbone runs, in a word or two; empty where they do not fit."""
        if not self.trains:
            return ""
        return self.adaptation.manner if self.adaptation else "as it is"


def matrix(host: Host) -> Iterator[Cell]:
    """All cells, by backbone, head and layout, from specs and examples alone: nothing heavy is imported."""
    for backbone in host.specs("backbone"):
        for head in host.specs("head"):
            for layout in LAYOUTS:
                yield _cell(host, backbone, head, layout)


def _cell(host: Host, backbone: BackboneSpec, head: HeadSpec, layout: Layout) -> Cell:
    if layout not in head.layouts:
        return Cell(backbone, head, layout, f"head {head.name!r} works on {plural(head.layouts)} only")
    try:
        check_features(backbone, head)
        example, adaptation = fitting_example(host, backbone, layout)
    except MedvidError as error:
        return Cell(backbone, head, layout, str(error))
    return Cell(backbone, head, layout, "", example, example_input(backbone, example, layout), adaptation)
