"""Options of the protocols of phases: a class per frame of a video, in order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, model_validator

from medvid.config.options import ProtocolOptions
from medvid.plugin.info import TargetInfo
from medvid.sentences import listed


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many phases away a prediction may be at a border, by phase.

    Args:
        late: behind the truth, at the start of a run.
        early: ahead of it, at the end.
    """

    late: tuple[int, ...]
    early: tuple[int, ...]


CHOLEC80 = Allowance(late=(1, 1, 1, 1, 1, 2, 2), early=(1, 1, 1, 2, 2, 2, 2))
"""Of its seven phases, numbered from 0 in their usual order."""
M2CAI16 = Allowance(late=(1, 1, 1, 1, 1, 1, 2, 2), early=(1, 1, 1, 1, 2, 2, 2, 2))
"""Of its eight phases, of which placing the trocars is the first and the others are those of Cholec80."""

_PHASES = (
    "preparation",
    "calottriangledissection",
    "clippingcutting",
    "gallbladderdissection",
    "gallbladderpackaging",
    "cleaningcoagulation",
    "gallbladderretraction",
)
PUBLISHED: Mapping[tuple[str, ...], Allowance] = {_PHASES: CHOLEC80, ("trocarplacement", *_PHASES): M2CAI16}
"""The published rules, by the phases that they are of: names in lower case, letters and digits alone."""


class PhaseFigureOptions(ProtocolOptions):
    """What all protocols of phases have."""

    monitor: Literal["accuracy", "jaccard", "f1", "edit"] = "f1"
    """The figure that chooses the best weights."""
    background: tuple[str, ...] = ()
    """Classes that are nothing of interest, as in GTEA: their segments do not count in the edit score and in F1 of
    segments. They do count in the other figures."""

    def check_target(self, info: TargetInfo) -> None:
        """Refuse a background that is not a class, see `ProtocolOptions.check_target`."""
        if beyond := [name for name in self.background if name not in info.names]:
            raise ValueError(f"background names {beyond[0]!r}, but the classes are {listed(info.names)}")


class PhasesProtocolOptions(PhaseFigureOptions):
    """Phases, or actions, of each video: a class per frame, and its segments."""

    name: Literal["phases"]


class RelaxedPhasesProtocolOptions(PhaseFigureOptions):
    """The same, and figures in which a prediction may be a little late or early where the phase changes."""

    name: Literal["phases_relaxed", "phases_relaxed_matlab"]
    seconds: PositiveFloat = 10.0
    """Width of the border at the start and end of each run of a phase; frames of it by the rate of the data."""
    late: tuple[NonNegativeInt, ...] | None = None
    """How many phases behind the truth a prediction may be at the start of a run, one number for each phase; default:
    the published rule, where the phases are those of Cholec80 or M2CAI16."""
    early: tuple[NonNegativeInt, ...] | None = None
    """How many phases ahead of the truth it may be at the end of a run, likewise."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> "RelaxedPhasesProtocolOptions":
        if (self.late is None) != (self.early is None):
            raise ValueError("late and early belong together: give both, or neither for the published rule")
        return self

    def allowance(self, info: TargetInfo) -> Allowance | None:
        """What is forgiven: what the options say, else the published rule for these phases; None if there is none."""
        if self.late is not None and self.early is not None:
            return Allowance(self.late, self.early)
        return PUBLISHED.get(tuple(re.sub("[^a-z0-9]", "", name.casefold()) for name in info.names))

    def check_target(self, info: TargetInfo) -> None:
        """Refuse phases that nobody has published a rule for, and rules for another number of phases."""
        super().check_target(info)
        allowance = self.allowance(info)
        if allowance is None:
            raise ValueError(
                f"{self.name} has published rules for the phases of Cholec80 and M2CAI16 in their order, but the "
                f"classes are {listed(info.names)}: say with late and early how many phases away is forgiven, or take "
                "the protocol phases"
            )
        for option, given in (("late", allowance.late), ("early", allowance.early)):
            if len(given) != len(info.names):
                raise ValueError(f"{option} has {len(given)} numbers, but there are {len(info.names)} phases")
