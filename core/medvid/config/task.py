"""The task file as validated, frozen options. Components bring their own models; everything else is here."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from medvid.config.evaluation import EvaluationOptions
from medvid.config.named import Named
from medvid.config.numbers import Fraction, PositiveFraction
from medvid.config.options import BackboneOptions, DatasetOptions, HeadOptions, OptimizerOptions, Options


class Constant(Options):
    """The same rate throughout, after an optional linear warm-up."""

    name: Literal["constant"]
    warmup_steps: NonNegativeInt = 0


class WarmupCosine(Options):
    """Linear warm-up, then half a cosine down to `final` times the peak rate."""

    name: Literal["warmup_cosine"]
    warmup_steps: NonNegativeInt = 0
    warmup_start: Fraction = 0.0
    """Factor on the peak rate at step 0."""
    final: Fraction = 0.0
    """Factor on the peak rate at the last step."""


class Poly(Options):
    """peak * (1 - step / steps) ** power, as the DeepLab family and TransUNet use it."""

    name: Literal["poly"]
    power: PositiveFloat = 0.9
    lag: NonNegativeInt = 0
    """Steps by which the rate lags behind; 1 in TransUNet's code, which sets it after each step from the old number."""
    hold: PositiveInt = 1
    """Steps for which a rate is kept: 250 in nnU-Net, which sets it once an epoch."""
    warmup_steps: NonNegativeInt = 0


class MultiStep(Options):
    """The rate is multiplied by `gamma` at each milestone."""

    name: Literal["step"]
    milestones: tuple[PositiveInt, ...]
    """Optimizer steps at which the rate drops."""
    gamma: Fraction = 0.1
    warmup_steps: NonNegativeInt = 0


Schedule = Annotated[Constant | WarmupCosine | Poly | MultiStep, Field(discriminator="name")]


class Freeze(Options):
    """Parameters that are not trained, for a while or for good.

    A module of which all parameters are frozen runs as in evaluation: its norms keep their statistics, and nothing is
    dropped.
    """

    parameters: str
    """Names of the parameters, with * and ? as in file names, e.g. ``backbone.*``."""
    steps: PositiveInt | None = None
    """Optimizer steps after which they are trained like the others; default: never."""


class StopEarly(Options):
    """When a training ends before its last step: once validations have not improved for a while."""

    patience: PositiveInt = 10
    """Validations in a row without improvement. One whose figure is not defined counts as such."""
    min_delta: NonNegativeFloat = 0.0
    """What the figure has to rise by to count as an improvement, in its own unit, since the last one that counted."""


class TrainOptions(Options):
    """The training recipe. Lengths are in optimizer steps, whatever the size of the data set."""

    steps: PositiveInt
    """Optimizer steps of the whole training."""
    stop_early: StopEarly | None = None
    """End once the validation figure that chooses the best weights no longer rises; the rate stays that of a training
    of all `steps`. Default: train all steps."""
    batch_size: PositiveInt
    """Cases per step and device; a case can yield several patches or clips."""
    optimizer: Annotated[OptimizerOptions, Named("optimizer")]
    base_batch_size: PositiveInt | None = None
    """Cases per optimizer step, over all devices, for which `optimizer.lr` is given; the rate is scaled linearly with
    the actual number (Goyal et al., 2017). Default: the rate is not scaled."""
    layer_decay: PositiveFraction = 1.0
    """Factor on the learning rate from each layer of the backbone to the previous one (Bao et al., ICLR 2022)."""
    schedule: Schedule = Constant(name="constant")
    accumulate: PositiveInt = 1
    """Number of successive batches that make one optimizer step, like one batch of their total size."""
    clip_norm: PositiveFloat | None = None
    """Largest total gradient norm; larger ones are scaled down to it."""
    decay_norms_and_biases: bool = False
    """Apply weight decay to one-dimensional parameters too (norms, biases), and to tables of positions."""
    freeze: tuple[Freeze, ...] = ()
    """Parameters that are not trained, or not from the start."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, which is then evaluated; e.g. 0.999."""
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the hardware multiplies bf16 natively, else fp32. bf16 and fp16 are autocast, with weights and
    loss in float32; fp16, for GPUs without bf16, has a short range of values, so the loss is scaled. fp32 is exact;
    tf32 is float32 whose products and convolutions round their factors to 10 bits, on CUDA GPUs from Ampere on."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: cuda where there is a GPU for it, else cpu; mps, for the GPUs of Macs, was not tested."""
    devices: PositiveInt | Literal["auto"] = 1
    """Number of devices, each with `batch_size` cases per step, see `base_batch_size`. auto: as many as torchrun or
    srun have started processes, else all GPUs of the machine, or one CPU process."""
    strategy: Literal["auto", "ddp", "ddp_find_unused"] = "auto"
    """auto: one process, or distributed data parallel where there is more than one device. ddp_find_unused: looks in
    each step for parameters that it gives no gradient, for models that leave out some in some steps only. Its price: a
    walk through the graph in each step, and a wait for the device in those where there are some."""
    sync_batchnorm: bool = True
    """With several devices, take the statistics of batch norms over the batches of all of them, as one device would on
    the whole batch. Its price on GPUs: a small exchange for each norm, forward and backward, at which devices wait for
    each other. false: each device's own, as multi-GPU recipes were published, such as SlowFast's, and no exchange."""
    channels_last: bool = True
    """Keep activations channels-last, the faster memory format for convolutions in bf16."""
    gradient_checkpointing: bool = False
    """Compute the backbone's layers again in the backward pass instead of keeping their activations."""
    compile: bool | Literal["default", "reduce-overhead", "max-autotune"] = False
    """Compile model and loss with torch.compile, true: in its mode default. reduce-overhead replays CUDA graphs, for
    models of many small kernels; max-autotune does that too, and tries out kernels first, which takes minutes. Weights
    differ in their last bits from those of an uncompiled training."""
    workers: NonNegativeInt = 2
    """Processes that load data; results do not depend on it."""
    transforms_on: Literal["auto", "loader", "device"] = "auto"
    """Where the random changes of examples are computed: by what loads them, or on the model's device, one batch ahead,
    with the same random numbers. auto: on CUDA GPUs all that can be, else by the loader. What can be is the end of the
    list, from where on all transforms are of geometry or intensities, and not of colours."""
    load_timeout: PositiveInt = 600
    """Seconds allowed for a batch, before the case that a process hangs in is named and the run ends."""
    max_unreadable: Fraction = 0.01
    """Largest share of unreadable training cases: each is named in the log and in unreadable.json, and replaced by
    another case. 0: the first one ends the training. In evaluation none is allowed."""
    balance: Literal["classes", "labels"] | None = None
    """Draw cases so that each class, or each label and "none of them", is drawn equally often: an epoch has as many
    draws as before, rare cases several times, each time changed anew. Cases of which nothing is known are never drawn.
    For targets of cases. Default: an epoch draws each case once."""
    log_every: PositiveInt = 10
    """Steps between logged training figures, the only times when the run waits for the device."""
    checkpoint_every: PositiveInt | None = None
    """Steps between checkpoints; default: `evaluation.every`."""
    keep_checkpoints: PositiveInt = 2
    """Newest checkpoints to keep, besides the best."""
    deterministic: bool = True
    """On GPUs, compute the same bits each time, so that a resumed run ends as one that was never stopped; an operation
    that cannot ends the run with its name. The price, by torch's sources and not measured: fused attention adds up its
    gradient in one order and leaves cuDNN's out, and convolutions and compiled kernels take an algorithm that is
    deterministic without trying which is the fastest, as false does. Evaluation pays for the convolutions alone and
    gives the same bits in either case."""


OWN_TAGS = re.compile(r"(task|data|seed|device)$|(medvid|plugins?|checkpoint)\.")
"""Tags that medvid sets itself."""


class TrackingOptions(Options):
    """Where runs are tracked."""

    experiment: str | None = None
    """MLflow experiment; default: the task's name."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Further tags of the run."""
    cases: bool = True
    """Whether MLflow gets what may name cases, and so patients: cases.csv, pictures, reports, the task with its folders
    and lists of cases. Without, it has figures, options and versions; the run folder and its logs have all."""

    @field_validator("tags")
    @classmethod
    def _own_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if own := [name for name in tags if OWN_TAGS.match(name)]:
            raise ValueError(f"medvid sets the tag {own[0]!r} itself: choose another name")
        return tags


class About(Options):
    """The description of a recipe in `platform tasks`; nothing is computed from it."""

    data: str = ""
    """Source and terms of the data."""
    published: str = ""
    """Figures of the paper or its code, with their conditions."""


class PrivacyOptions(Options):
    """Pseudonyms for patients."""

    pseudonyms: bool = False
    """Name cases by keyed pseudonyms in all that a run, an evaluation and a prediction print, log, draw, write and send
    to MLflow: ``private/cases.csv`` says which is which. The key is that of the site: MEDVID_PSEUDONYM_KEY, else
    medvid/pseudonym.key in XDG_DATA_HOME or ~/.local/share, which is made on first use."""


class AppliedDemo(Options):
    """Marks a resolved task that runs on the demo data."""

    applied: Literal[True]
    generate: dict[str, object] = Field(default_factory=dict)
    """Options of the data set's generator, as its `demo_config` validated them."""


_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _check_name(name: str) -> str:
    if not re.match(_NAME, name):
        raise ValueError(f"should be letters, digits and . _ - only, a letter or digit first, got {name!r}")
    return name


class Task(Options):
    """A resolved task: overlays and overrides applied, every block validated by its component's own model."""

    name: Annotated[str, AfterValidator(_check_name), Field(max_length=100, json_schema_extra={"pattern": _NAME})]
    """Name of the task, used for run folders and as MLflow experiment."""
    about: About = About()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Every random number of a run is derived from it."""
    output: Path = Path("runs")
    """Run folders are made below it, as <output>/<task>/<run>."""
    dataset: Annotated[DatasetOptions, Named("dataset")]
    backbone: Annotated[BackboneOptions, Named("backbone")]
    head: Annotated[HeadOptions, Named("head")]
    train: TrainOptions
    evaluation: SerializeAsAny[EvaluationOptions] = EvaluationOptions()
    tracking: TrackingOptions = TrackingOptions()
    privacy: PrivacyOptions = PrivacyOptions()
    demo: AppliedDemo | None = None
    """Set where the task runs on the demo data instead of the real data set."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> "Task":
        if self.train.schedule.warmup_steps > self.train.steps:
            raise ValueError(
                f"train.schedule.warmup_steps is {self.train.schedule.warmup_steps}, more than train.steps "
                f"({self.train.steps}): the peak rate would never be reached; set it lower too"
            )
        return self

    @model_validator(mode="after")
    def _is_validated(self) -> "Task":
        if self.train.stop_early and not self.evaluation.every:
            raise ValueError(
                "train.stop_early counts validations, but there are none during training: set evaluation.every"
            )
        return self
