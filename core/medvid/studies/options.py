"""What a study file may hold."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, StringConstraints, field_validator, model_validator

from medvid.config.named import Named
from medvid.config.options import LauncherOptions, Options
from medvid.data.fold_options import FoldsOptions
from medvid.studies.launcher_options import LocalOptions
from medvid.studies.search_options import SearchOptions

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]

DEFAULT = "default"
"""Name of the configuration of a study that names none: the task as it is."""


class StudyBlock(Options):
    """Which runs there are."""

    name: Name
    """Name of the study, and of its folder."""
    task: str
    """The task file, or the name of a recipe."""
    seeds: PositiveInt | Annotated[tuple[Seed, ...], Field(min_length=1)] = 1
    """Number of seeds, counted from the task's own; or the seeds themselves."""
    seed: Seed = 0
    """What the study itself draws is derived from it."""

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if isinstance(seeds, tuple) and len(set(seeds)) < len(seeds):
            raise ValueError(f"should name each seed once, got {list(seeds)}")
        return seeds


class CompareOptions(Options):
    """How the configurations are compared."""

    metric: str | None = None
    """The figure; default: the one by which the runs choose their best weights."""
    baseline: str | None = None
    """The configuration that the others are compared with; default: the best one."""
    test: Literal["permutation", "wilcoxon"] = "permutation"
    """The paired test: of signs, by permutation, or of ranks."""


class StudyOptions(Options):
    """A study file."""

    study: StudyBlock
    folds: FoldsOptions | None = None
    """How cases are divided for cross-validation; default: each run has the task's own split."""
    configurations: dict[Name, dict[str, Any]] = Field({DEFAULT: {}}, min_length=1)
    """Changes of the task, by the name of the configuration that they make."""
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field({})
    """Values of options, by dotted key: each combination of them is a configuration, or one more of each."""
    search: SearchOptions | None = None
    """Options to search for, instead of configurations."""
    launcher: Annotated[LauncherOptions, Named("launcher")] = LocalOptions()
    """Where the cells run."""
    compare: CompareOptions = CompareOptions()

    @model_validator(mode="after")
    def _searches_or_compares(self) -> Self:
        if self.search is None:
            return self
        if self.grid or self.configurations != {DEFAULT: {}}:
            raise ValueError("a study has either a search, or configurations and a grid")
        seeds = self.study.seeds
        if (len(seeds) if isinstance(seeds, tuple) else seeds) > 1:
            raise ValueError("a search runs each trial with one seed; search.then.seeds is how many the best ones get")
        return self

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of a resolved study."""
        assert isinstance(self.study.seeds, tuple), "a resolved study names its seeds"
        return self.study.seeds
