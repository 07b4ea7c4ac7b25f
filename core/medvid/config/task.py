"""The task file as validated, frozen options. Components bring their own models; everything else is here."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SerializeAsAny, field_validator, model_validator

from medvid.config.evaluation import EvaluationOptions
from medvid.config.options import BackboneOptions, DatasetOptions, HeadOptions, Options

Fraction = Annotated[float, Field(ge=0, le=1)]


class AdamW(Options):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""

    name: Literal["adamw"]
    lr: PositiveFloat
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


class Adam(Options):
    """Adam (Kingma and Ba, ICLR 2015); its weight decay is L2, added to the gradient."""

    name: Literal["adam"]
    lr: PositiveFloat
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


class SGD(Options):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: PositiveFloat
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Fraction = 0.9
    nesterov: bool = False


Optimizer = Annotated[AdamW | Adam | SGD, Field(discriminator="name")]


class Constant(Options):
    """The same rate throughout, after an optional linear warm-up."""

    name: Literal["constant"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class WarmupCosine(Options):
    """Linear warm-up, then half a cosine down to `final` times the peak rate."""

    name: Literal["warmup_cosine"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    warmup_start: Fraction = 0.0
    """Factor on the peak rate at step 0."""
    final: Fraction = 0.0
    """Factor on the peak rate at the last step."""


class Poly(Options):
    """peak * (1 - step / steps) ** power, as the DeepLab family and TransUNet use it."""

    name: Literal["poly"]
    power: PositiveFloat = 0.9
    lag: Annotated[int, Field(ge=0)] = 0
    """Steps by which the rate lags behind; 1 in TransUNet's code, which sets it after each step from the old number."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class MultiStep(Options):
    """The rate is multiplied by `gamma` at each milestone."""

    name: Literal["step"]
    milestones: tuple[PositiveInt, ...]
    """Optimizer steps at which the rate drops."""
    gamma: Fraction = 0.1
    warmup_steps: Annotated[int, Field(ge=0)] = 0


Schedule = Annotated[Constant | WarmupCosine | Poly | MultiStep, Field(discriminator="name")]


class Freeze(Options):
    """Parameters that are left as they are, for a while or for good.

    A module of which all parameters are frozen runs as in evaluation: its norms keep their statistics, and nothing is
    dropped.
    """

    parameters: str
    """Names of the parameters, with * and ? as in file names, e.g. ``backbone.*``."""
    steps: PositiveInt | None = None
    """Optimizer steps after which they are trained like the others; default: never."""


class TrainOptions(Options):
    """The training recipe. Lengths are in optimizer steps, whatever the size of the data set."""

    steps: PositiveInt
    """Optimizer steps of the whole training."""
    batch_size: PositiveInt
    """Cases per step and device; a case may give several patches or clips."""
    optimizer: Optimizer
    base_batch_size: PositiveInt | None = None
    """Cases per optimizer step, over all devices, that `optimizer.lr` is for; the rate is scaled linearly with their
    actual number (Goyal et al., 2017). Default: the rate is taken as it is."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer of the backbone to the one before it (Bao et al., ICLR 2022)."""
    schedule: Schedule = Constant(name="constant")
    accumulate: PositiveInt = 1
    """Batches that are taken one after the other and make one optimizer step, as one batch of their size would."""
    clip_norm: PositiveFloat | None = None
    """Largest total gradient norm; larger ones are scaled down to it."""
    decay_norms_and_biases: bool = False
    """Apply weight decay to one-dimensional parameters too (norms, biases), and to tables of positions."""
    freeze: tuple[Freeze, ...] = ()
    """Parameters that are not trained, or not from the start."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, which is then what is evaluated; e.g. 0.999."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast where the hardware multiplies bf16 natively, else fp32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: PositiveInt | Literal["auto"] = "auto"
    """Number of devices; auto: all GPUs, or one CPU process."""
    strategy: Literal["auto", "ddp"] = "auto"
    """auto: one process, or distributed data parallel where there is more than one device."""
    channels_last: bool = True
    """Keep activations channels-last, the faster memory format for convolutions in bf16."""
    gradient_checkpointing: bool = False
    """Compute the backbone's layers again in the backward pass instead of keeping their activations."""
    compile: bool = False
    """Compile the model with torch.compile."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that load data; results do not depend on it."""
    load_timeout: PositiveInt = 600
    """Seconds that the processes may take for a batch, before the case that they hang in is named and the run ends."""
    max_unreadable: Fraction = 0.01
    """Largest share of the training cases that may be unreadable: each is named in the log and in data_report.json, and
    another case stands in for it. 0: the first one ends the training. In evaluation there is no such allowance."""
    log_every: PositiveInt = 10
    """Steps between logged training figures; the only times the device is waited for."""
    checkpoint_every: PositiveInt | None = None
    """Steps between checkpoints; default: `evaluation.every`."""
    keep_checkpoints: PositiveInt = 2
    """Newest checkpoints to keep, besides the best."""
    deterministic: bool = True
    """On GPUs, use deterministic implementations; an operation that has none is named in a warning."""


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


class PrivacyOptions(Options):
    """What tells patients apart without naming them."""

    pseudonyms: bool = False
    """Name cases by keyed pseudonyms in all that a run, an evaluation and a prediction print, log, draw, write and send
    to MLflow: ``private/cases.csv`` says which is which. The key is that of the site: MEDVID_PSEUDONYM_KEY, else
    medvid/pseudonym.key in XDG_DATA_HOME or ~/.local/share, which is made on first use."""


class AppliedSample(Options):
    """Marks a resolved task that runs on the generated sample."""

    applied: Literal[True]
    generate: dict[str, object] = Field(default_factory=dict)
    """Options of the data set's generator, as its `sample_config` validated them."""


_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _check_name(name: str) -> str:
    if not re.match(_NAME, name):
        raise ValueError(f"should be letters, digits and . _ - only, a letter or digit first, got {name!r}")
    return name


class Task(Options):
    """A resolved task: overlays and overrides applied, every block validated by its component's own model."""

    name: Annotated[str, AfterValidator(_check_name), Field(max_length=100, json_schema_extra={"pattern": _NAME})]
    """Name of the task, used for run folders and as MLflow experiment."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Every random number of a run is derived from it."""
    output: Path = Path("runs")
    """Run folders are made below it, as <output>/<task>/<run>."""
    dataset: SerializeAsAny[DatasetOptions]
    backbone: SerializeAsAny[BackboneOptions]
    head: SerializeAsAny[HeadOptions]
    train: TrainOptions
    evaluation: SerializeAsAny[EvaluationOptions] = EvaluationOptions()
    tracking: TrackingOptions = TrackingOptions()
    privacy: PrivacyOptions = PrivacyOptions()
    sample: AppliedSample | None = None
    """Set where the task runs on the generated sample instead of the real data set."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> "Task":
        if self.train.schedule.warmup_steps > self.train.steps:
            raise ValueError(
                f"train.schedule.warmup_steps is {self.train.schedule.warmup_steps}, more than train.steps "
                f"({self.train.steps}): the peak rate would never be reached; set it lower too"
            )
        return self
