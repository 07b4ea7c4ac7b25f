"""The hooks of medvid: one that contributes components, and observers of a run.

Observers run on rank 0 only, get plain Python values and return None. They cannot change config, batch, model or
loss: the core loop is the one truth. An observer that raises is reported once, by the plugin's name, and stops
neither the other observers nor the training; only `medvid_run_configured` may veto, by raising MedvidError.
New arguments may be added to a hook later; an implementation may take any subset of them. docs/hooks.md has it all for
authors of plugins; a test keeps the two together.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medvid.plugin.markers import hookspec

if TYPE_CHECKING:
    from medvid.plugin.events import Evaluation, RunInfo, RunResult
    from medvid.plugin.specs import ComponentSpec


@hookspec
def medvid_components() -> Iterable["ComponentSpec"]:  # type: ignore[empty-body]
    """Return the specs of the components that this plugin contributes.

    Called once, when the host is made, before torch is imported. A name that two distributions use is an error that
    names both.
    """


@hookspec
def medvid_run_configured(run: "RunInfo") -> None:
    """The task is checked, nothing is prepared or trained yet; the folder of a new run is not made yet.

    Raise MedvidError to veto the run: its message is what the user sees.
    """


@hookspec
def medvid_run_started(run: "RunInfo") -> None:
    """Model and data are built; training starts at ``run.start_step``."""


@hookspec
def medvid_progress(run: "RunInfo", stage: str, done: int, total: int, values: Mapping[str, float]) -> None:
    """Work has advanced.

    Args:
        run: the run.
        stage: ``"prepare"`` and ``"evaluate"`` count cases, ``"train"`` counts optimizer steps.
        done: how many are done.
        total: how many there are.
        values: figures to show beside the bar; for ``"train"`` loss, lr, step_time and data_time (seconds per step).
    """


@hookspec
def medvid_metrics(run: "RunInfo", split: str, step: int, values: Mapping[str, float]) -> None:
    """Figures of one optimizer step: training figures every ``train.log_every`` steps, others when evaluated.

    Args:
        run: the run.
        split: ``"train"``, ``"perf"`` (seconds per step), or the name of the evaluated split.
        step: optimizer steps done so far.
        values: Python floats; never NaN for a training loss.
    """


@hookspec
def medvid_checkpoint_saved(run: "RunInfo", path: Path, step: int, is_best: bool) -> None:
    """A checkpoint was written, read back and verified. May be slow: it is called after the step."""


@hookspec
def medvid_evaluated(run: "RunInfo", evaluation: "Evaluation") -> None:
    """A split was evaluated; ``evaluation.final`` is True for the closing evaluation, False during training."""


@hookspec
def medvid_run_finished(run: "RunInfo", result: "RunResult") -> None:
    """The run ended well: report, summary and figures are on disk."""


@hookspec
def medvid_run_failed(run: "RunInfo", result: "RunResult", error: BaseException) -> None:
    """The run ended with an error or a signal (see ``result.status``). The core reports the error.

    A run that ended before `medvid_run_started` has no folder, or an unchanged one if it was to be resumed.
    """
