"""Options of a user's own videos."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from medvid.config.videos import ListedVideoOptions


class VideosOptions(ListedVideoOptions):
    """A user's own videos, with one label each.

    In one folder per class, with or without folders train and val (or validation) and test around these; or in lists,
    whose labels may be ids or names: train.csv, val.csv and test.csv, or a single list that `lists: {all: ...}` names.

    Where nothing says which clips are for validation, a share of each class is held out of those to train on. Clips of
    one patient or one recording may then be on both sides: if there are such, say in lists or folders what is held out.
    """

    name: Literal["videos"] = "videos"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of each class that is held out, at least one of its clips, where nothing says which; 0: none."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which clips those are."""
    named_lists: ClassVar[bool] = True
