"""Bases of all options: one pydantic model per component, frozen, no unknown keys."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from medvid.data.cache_folder import default_folder
from medvid.plugin.info import InputInfo, TargetInfo


class Options(BaseModel):
    """A block of a task file. Unknown keys and numbers that are not finite are errors; values cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ComponentOptions(Options):
    """The options of a backbone, head or data set; ``name`` says which component they belong to."""

    name: str
    """Name of the component, see `platform plugins list`."""


class WeightsOptions(Options):
    """Published weights to start from."""

    source: str
    """Which published code or hub the file comes from; the plugin names those that it reads."""
    path: Path
    """The downloaded file: .safetensors, .pt/.pth/.pyth or .npz."""


class BackboneOptions(ComponentOptions):
    """Base of a backbone's options."""

    weights: WeightsOptions | None = None
    """Published weights to start from; without, the initialisation of the paper."""

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input that the backbone cannot take, before torch is imported.

        Raises:
            ValueError: with a sentence that says what was given and which inputs work.
        """

    def check_test_input(self, trained: InputInfo, given: InputInfo) -> None:  # noqa: ARG002 (for subclasses)
        """Refuse an input of evaluation that differs from those of training, where the backbone cannot take both.

        Raises:
            ValueError: with a sentence, as `check_input`.
        """
        self.check_input(given)

    def frames_of_image(self) -> int:
        """How often a backbone of videos (or volumes) needs an image repeated to take it as a clip (or volume)."""
        return 1


class HeadOptions(ComponentOptions):
    """Base of a head's options."""

    def check_split(self, accumulate: int, processes: int) -> None:
        """Refuse a step that takes its batch in parts, where the loss is not a mean over them.

        Args:
            accumulate: parts that follow each other.
            processes: each of which has as many.

        Raises:
            ValueError: with a sentence that says which option is why.
        """


class DatasetOptions(ComponentOptions):
    """Base of a data set's options. The two methods say what a model on it has to take and to predict."""

    root: Path
    """The folder of the data set."""
    if_missing: Literal["error", "sample"] = "error"
    """What to do where `root` does not exist: stop, or run on the generated sample of the task."""
    cache: Path = Field(default_factory=default_folder)
    """Where prepared cases are kept, see `platform cache`; default: medvid in XDG_CACHE_HOME or ~/.cache."""

    def input_info(self) -> InputInfo:
        """What a training batch looks like. May read small index files of the data set.

        Raises:
            medvid.errors.DataError: an index file of the data set is missing or contradicts the options.
        """
        raise NotImplementedError

    def test_input_info(self) -> InputInfo:
        """What an input of evaluation looks like; default: as in training. Raises as `input_info`."""
        return self.input_info()

    def target_info(self) -> TargetInfo:
        """What the labels are. May read small index files, raises as `input_info`."""
        raise NotImplementedError

    def filled(self) -> Self:
        """These options with what `target_info` reads from files filled in; raises as `input_info`.

        So kept in a run folder, they are enough to predict where the data set is not.
        """
        return self
