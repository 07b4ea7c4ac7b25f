"""The matrix of everything with everything: which backbone trains with which head on which axes, and why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import get_args

from medvid.config.axes import Adaptation, plural
from medvid.config.compatibility import can_score, check_features
from medvid.config.examples import example_input, fitting_example
from medvid.errors import MedvidError
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo, described
from medvid.plugin.specs import Axes, BackboneSpec, Example, HeadSpec, ProtocolSpec, What

ALL_AXES: tuple[Axes, ...] = get_args(Axes)


@dataclass(frozen=True, slots=True)
class Cell:
    """A backbone with a head that predicts something on some axes.

    Args:
        backbone: the backbone.
        head: the head.
        what: what it predicts, of what it can.
        axes: of the data.
        problem: why they do not train; empty if they do.
        example: the options of the backbone that were tried; None where there are none.
        input_info: what the model is fed then.
        adaptation: how the backbone runs on these axes, None where they are its own.
    """

    backbone: BackboneSpec
    head: HeadSpec
    what: What
    axes: Axes
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
    """All cells, by backbone, head, what and axes, from specs and examples alone: nothing heavy is imported."""
    for backbone in host.specs(BackboneSpec):
        for head in host.specs(HeadSpec):
            given = [axes for axes in ALL_AXES if head.where != "frame" or axes != "image"]  # which has no frames
            for what, axes in product(head.what, given):
                yield _cell(host, backbone, head, what, axes)


def _cell(host: Host, backbone: BackboneSpec, head: HeadSpec, what: What, axes: Axes) -> Cell:
    if not any(can_score(spec, head.where, what, axes) for spec in host.specs(ProtocolSpec)):
        return Cell(backbone, head, what, axes, f"no protocol scores {described(head.where, what)}")
    if axes not in head.axes:
        return Cell(backbone, head, what, axes, f"head {head.name!r} works on {plural(head.axes)} only")
    try:
        check_features(backbone, head)
        example, adaptation = fitting_example(host, backbone, axes)
    except MedvidError as error:
        return Cell(backbone, head, what, axes, str(error))
    return Cell(backbone, head, what, axes, "", example, example_input(backbone, example, axes), adaptation)
