"""Options that hold blocks of components: alone, optional, in lists, and inside of each other."""

from typing import Annotated, Literal

from pydantic import PositiveFloat

from medvid.config.named import Named
from medvid.config.options import BackboneOptions, LossOptions


class GapOptions(LossOptions):
    name: Literal["gap", "unfit"] = "gap"
    weight: PositiveFloat = 1.0


class TotalOptions(LossOptions):
    name: Literal["total"] = "total"
    terms: tuple[Annotated[LossOptions, Named("loss")], ...] = (GapOptions(),)


class OuterOptions(BackboneOptions):
    name: Literal["outer"] = "outer"
    loss: Annotated[LossOptions, Named("loss")] = GapOptions()
    frame: Annotated[BackboneOptions, Named("backbone", axes="image")] | None = None
