"""Heads: what turns features into a prediction, and owns the loss, the metrics and the inference procedure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from medvid.data.dataset import Case
from medvid.data.sample import Batch
from medvid.models.features import Features
from medvid.plugin.events import Table
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of an evaluated split.

    Args:
        metrics: headline figures by name; ``metrics[Evaluator.monitor]`` chooses the best checkpoint.
        table: the figures for people.
        notes: sentences a reader has to know, e.g. how many empty cases were left out of which mean.
    """

    metrics: Mapping[str, float]
    table: Table = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted for a new case.

    Args:
        files: what was written.
        lines: the prediction in words, where it can be said.
    """

    files: tuple[Path, ...]
    lines: tuple[str, ...] = ()


class Evaluator(Protocol):
    """The inference procedure and metrics of one kind of task. The model is already in eval mode.

    Pickled into loader processes where it loads ahead.
    """

    monitor: str
    """Name of the metric (higher is better) that chooses the best checkpoint."""
    loads_ahead: bool
    """Whether loader processes call `load` for the cases to come while the model works on one."""

    def load(self, case: Case) -> Any:
        """Read what `evaluate` needs of a case."""
        ...

    def evaluate(self, model: nn.Module, loaded: Any, *, final: bool, folder: Path) -> list[dict[str, Any]]:
        """Infer and score one case.

        Args:
            model: maps (B, C, *S) to logits.
            loaded: the case, as `load` gave it.
            final: asks for every metric and for the prediction, written below folder; else only what `monitor` needs.
            folder: where predictions and pictures go.

        Returns:
            One row per label (or one for the case): plain values, always with a key ``"case"``.
        """
        ...

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases (from all devices) to the headline figures."""
        ...

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Draw the pictures of a closing evaluation, whose predictions are below folder; return the files."""
        ...

    def predict(self, model: nn.Module, case: Case, folder: Path) -> Prediction:
        """Infer one case without labels and write the prediction below folder."""
        ...


class Head(nn.Module, ABC):
    """Base of all heads. Built as ``Target(options, feature_info, input_info, target_info)``."""

    @abstractmethod
    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Predict from the features of input (B, C, *S).

        Returns:
            Logits: (B, labels, *S) for segmentation, (B, labels) for classification.
        """

    def mix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Change a training batch, on its device, before the forward pass; by default it stays as it is.

        Random numbers come from torch's global generator, which the training loop seeds for each step.

        Returns:
            Input and target, as of the batch; what `loss` takes as a target may be returned instead.
        """
        return batch.input, batch.target

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The training loss: a mean over the examples of a batch, in float32 or better.

        A step may take its batch in parts, one after the other and on several processes; it goes along the gradient of
        the whole, the mean of those of the parts, weighted by their number of examples. A loss that divides by
        anything else, such as the sum of the classes' weights, returns that too, as ``"weight"``. What is not such a
        mean at all has to be refused in parts, see `medvid.config.options.HeadOptions.check_split`.

        Returns:
            Scalars: the loss under key ``"loss"``, its parts, logged as ``loss_<name>``, not detached; and perhaps
            ``"weight"``, a positive constant.
        """

    @abstractmethod
    def evaluator(self, options: Any, input_info: InputInfo, target_info: TargetInfo) -> Evaluator:
        """The inference procedure and metrics, as the task's evaluation block asks for them.

        Args:
            options: the evaluation block of what the head predicts, see `medvid.config.evaluation`.
            input_info: what the model is fed in training.
            target_info: the labels.
        """
