"""How cases are divided for a cross-validation."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from medvid.config.options import Options


class GroupOptions(Options):
    """A column that says whose each case is."""

    file: Path | None = None
    """The CSV file, with a column of cases (case, id, path ...); default: the table of the data set."""
    column: str | None = None
    """The column of groups; default: group, patient, subject or the like."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.file is None and self.column is None:
            raise ValueError("name a file, a column, or both")
        return self


class FoldsOptions(Options):
    """Folds to make, or a file that has them."""

    count: Annotated[int, Field(ge=2)] = 5
    """Number of folds."""
    group: str | GroupOptions | None = None
    """What keeps cases together: a regular expression over their ids, whose first group it is; or a column. Default:
    the patients, where the data set knows them."""
    stratify: Literal["none", "labels"] = "none"
    """`labels`: each fold gets its share of each class, finding or label, of the frames or voxels of a case too, and of
    the quarters of each value. `none`: at random, with the default seed as nnU-Net does."""
    seed: NonNegativeInt = 0
    """Another one gives other folds."""
    file: Path | None = None
    """Instead: a file of folds, as `platform data splits` and nnU-Net write it; `group` is then only checked."""

    @model_validator(mode="after")
    def _made_or_read(self) -> Self:
        if self.file is not None and (made := self.model_fields_set & {"count", "stratify", "seed"}):
            raise ValueError(f"file has the folds already: leave out {' and '.join(sorted(made))}")
        return self
