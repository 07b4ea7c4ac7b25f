"""Bases of all options: one pydantic model per component, frozen, no unknown keys."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    Tag,
    model_validator,
)

from medvid.files import default_cache
from medvid.plugin.info import InputInfo, TargetInfo


class Options(BaseModel):
    """A block of a task file. Unknown keys and numbers that are not finite are errors; values cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ComponentOptions(Options):
    """The options of a component, see `medvid.plugin.kinds`; ``name`` is the component's name."""

    kind: ClassVar[str]
    """The kind of that component."""

    name: str
    """Name of the component, see `platform plugins list`."""


class WeightsOptions(Options):
    """Weights to start from."""

    source: str
    """The published code or hub that the file comes from; the plugin names the ones that it reads."""
    path: Path
    """The downloaded file: .safetensors, .pt/.pth/.pyth or .npz."""


class RunWeights(WeightsOptions):
    """The weights of a run to start from."""

    source: Literal["medvid"]
    path: Path
    """The run folder, of a run with the same backbone."""
    checkpoint: Literal["best", "last"] = "best"
    """Which of its weights; averaged ones where it has averaged them."""
    head: bool = False
    """Whether its head is taken too; what is of another number of classes begins anew."""


class BackboneOptions(ComponentOptions):
    """Base of a backbone's options.

    A subclass can say which published weights it imports: ``weights: MyWeights | None = None``. Those of a run,
    `RunWeights`, are an option of every backbone.
    """

    kind: ClassVar[str] = "backbone"

    weights: WeightsOptions | None = None
    """Weights to start from, published or of a run of this backbone; default: the initialisation of the paper."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        field = cls.model_fields["weights"]
        if with_runs := _with_run_weights(field.annotation):
            field.annotation = with_runs
            cls.model_rebuild(force=True)

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input that the backbone cannot take, before torch is imported.

        Raises:
            ValueError: naming the given input and the inputs that work.
        """

    def check_test_input(self, trained: InputInfo, given: InputInfo) -> None:  # noqa: ARG002 (for subclasses)
        """Refuse an input of evaluation that differs from the training's, if the backbone cannot take both.

        Raises:
            ValueError: with a sentence, as `check_input`.
        """
        self.check_input(given)

    def frames_of_image(self) -> int:
        """Number of times that an image is repeated for a backbone of videos (or volumes)."""
        return 1


def _with_run_weights(annotation: Any) -> Any:
    """What backbone.weights can be, with the weights of a run; None if these are there already."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if not all(isinstance(kind, type) for kind in kinds):
        return None
    if not kinds:  # nothing was published
        return RunWeights | None
    published: Any = Union[tuple(kinds)]  # noqa: UP007 (of a list)
    names = " or ".join(kind.__name__ for kind in kinds)
    tagged = Annotated[published, Tag(names)] | Annotated[RunWeights, Tag(RunWeights.__name__)]

    def which(value: object) -> str:
        source = value.get("source") if isinstance(value, Mapping) else getattr(value, "source", None)
        return RunWeights.__name__ if source == "medvid" else names

    return Annotated[tagged, Discriminator(which)] | None


class LossOptions(ComponentOptions):
    """Base of a loss's options."""

    kind: ClassVar[str] = "loss"

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:
        """Refuse a step that takes its batch in parts, if the loss is not a mean over them.

        Args:
            accumulate: successive parts per process.
            processes: number of processes.
            info: what the loss is of.

        Raises:
            ValueError: naming the option that causes it.
        """

    def is_mean_over_examples(self, info: TargetInfo) -> bool:
        """Whether it divides by the number of examples alone, see `medvid.losses.loss.Loss`.

        Such losses can be added up while a batch is taken in parts.
        """
        return not info.has_unknown

    def check_target(self, info: TargetInfo) -> None:
        """Refuse a target that the loss cannot be of, before torch is imported.

        Raises:
            ValueError: with a sentence that says which option is why.
        """


class HeadOptions(ComponentOptions):
    """Base of a head's options."""

    kind: ClassVar[str] = "head"

    loss: LossOptions | None
    """The training loss. A subclass says which ones may stand here, with `Named`, and which is the default; None: what
    is predicted decides, see `loss_for`."""

    def loss_for(self, info: TargetInfo) -> LossOptions:
        """The loss for a target: the one that is named, unless a subclass has defaults by what is predicted."""
        assert self.loss, f"{type(self).__name__} has a default loss, or says which one suits {info.what} targets"
        return self.loss

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:
        """Refuse a step that takes its batch in parts, where it has to be whole; as `LossOptions.check_split`."""
        self.loss_for(info).check_split(accumulate, processes, info)

    def filled(self, info: TargetInfo) -> Self:
        """These options, with the loss that they mean named."""
        return self.model_copy(update={"loss": self.loss_for(info)})

    def mixes_cases(self) -> bool:
        """Whether it mixes examples of different cases of a batch, see `medvid.models.head.Head.mix`."""
        return False

    def expects_frozen_backbone(self) -> bool:
        """Whether it is meant for a backbone that `train.freeze` leaves as it is; a task says where it does not."""
        return False


class FoldOptions(Options):
    """A fold of a cross-validation."""

    file: Path
    """The folds, as nnU-Net's splits_final.json has them: `[{"train": [ids], "val": [ids]}, ...]`; see `platform data
    splits`."""
    index: NonNegativeInt
    """Which of them is held out, from 0."""


class DatasetOptions(ComponentOptions):
    """Base of a data set's options. Two methods say what a model for it has to take and to predict."""

    kind: ClassVar[str] = "dataset"

    root: Path
    """The folder of the data set."""
    if_missing: Literal["error", "demo"] = "error"
    """What to do if `root` does not exist: stop, or run on the task's demo data."""
    cache: Path = Field(default_factory=default_cache)
    """Folder of prepared cases, see `platform cache`; default: medvid in XDG_CACHE_HOME or ~/.cache."""
    fold: NonNegativeInt | FoldOptions | None = None
    """Hold out this fold for validation and train on the others: {file: splits.json, index: 0}. A number alone is one
    of splits_final.json in `root`, or of the folds in its list of cases."""

    @model_validator(mode="after")
    def _one_division(self) -> Self:
        if self.fold is None:
            return self
        if getattr(self, "split", None) is not None:
            raise ValueError("fold and split both say which cases are held out: leave one of them out")
        field, share = type(self).model_fields.get("validation_fraction"), getattr(self, "validation_fraction", None)
        if field and share != field.default:
            raise ValueError(
                f"fold says which cases are held out, so validation_fraction, {share}, has to be left out or its "
                f"default, {field.default}"
            )
        return self

    def input_info(self) -> InputInfo:
        """Axes, channels and size of a training batch. Can read small index files of the data set.

        Raises:
            medvid.errors.DataError: an index file of the data set is missing or contradicts the options.
        """
        raise NotImplementedError

    def test_input_info(self) -> InputInfo:
        """Axes, channels and size of an input of evaluation; default: as in training. Raises as `input_info`."""
        return self.input_info()

    def examples_per_case(self) -> int:
        """Training examples that a case yields each time it is visited."""
        return 1

    def target_info(self) -> TargetInfo:
        """The labels. Can read small index files; raises as `input_info`."""
        raise NotImplementedError

    def filled(self) -> Self:
        """These options, with the values that `target_info` reads from files filled in; raises as `input_info`.

        Kept in a run folder, they are enough to predict without the data set.
        """
        return self


class TransformOptions(ComponentOptions):
    """Base of a transform's options."""

    kind: ClassVar[str] = "transform"
    of_colours: ClassVar[bool] = False
    """Whether it changes colours as they are stored, so that normalised values mean nothing to it."""
    normalises: ClassVar[bool] = False
    """Whether frames of videos, which travel as bytes, are normalised before it changes them."""

    def mirrored_axes(self) -> tuple[str, ...]:
        """The axes along which it may mirror examples: R, A, S of volumes, H, W of images and videos; default: none."""
        return ()

    def check(self, given: InputInfo, target: TargetInfo) -> None:
        """Refuse examples that the transform cannot change, before torch is imported.

        Args:
            given: the examples.
            target: what they are annotated with.

        Raises:
            ValueError: with a sentence that says why.
        """


class OptimizerOptions(ComponentOptions):
    """Base of an optimizer's options."""

    kind: ClassVar[str] = "optimizer"

    lr: PositiveFloat
    """Peak learning rate."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay, for the parameters given by `train.decay_norms_and_biases`; its form depends on the optimizer."""

    def states_per_parameter(self) -> int:
        """Numbers that it keeps per parameter, for estimates of memory and disk space."""
        return 2


class FormatOptions(ComponentOptions):
    """Base of the options of a format of files, all of which have defaults; sufficient for a format without options."""

    kind: ClassVar[str] = "format"


class LauncherOptions(ComponentOptions):
    """Base of a launcher's options, all of which should have defaults."""

    kind: ClassVar[str] = "launcher"


class ProtocolOptions(ComponentOptions):
    """Base of a protocol's options; sufficient for a protocol without options."""

    kind: ClassVar[str] = "protocol"

    def check_target(self, info: TargetInfo) -> None:
        """Refuse a target that the protocol cannot score, before torch is imported.

        Raises:
            ValueError: naming the given target and the targets that work.
        """
