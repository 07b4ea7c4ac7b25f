"""The card of a packed model, for people (CARD.md) and for programs (card.json)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medvid.errors import MedvidError
from medvid.evaluation.metrics.intervals import Interval
from medvid.files import read_json
from medvid.profiling.words import large
from medvid.runs.folder import RunFolder
from medvid.studies.measured import measure
from medvid.studies.sides import Side, read_side


@dataclass(frozen=True, slots=True)
class Card:
    """What somebody has to know who gets a model.

    Args:
        name: of the model.
        step: of its weights.
        model: backbone, head, their size and what one input is.
        answers: where and what it answers: labels with units.
        data: what it was trained on: data set, cases per split with digests, whether generated.
        figures: headline figures of the held-out cases, as the run has them.
        intervals: low and high end of the 95 % interval of those for which cases suffice.
        protocol: by which they were computed.
        notes: what a reader of the figures has to know.
        use: what the model is meant for.
        licence: of the weights.
        versions: of the software that it was trained with.
    """

    name: str
    step: int
    model: Mapping[str, Any]
    answers: Mapping[str, Any]
    data: Mapping[str, Any]
    figures: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float]]
    protocol: str
    notes: tuple[str, ...]
    use: str
    licence: str
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """For card.json."""
        return asdict(self)

    def markdown(self) -> str:
        """For CARD.md."""
        return "\n".join(_lines(self)) + "\n"


def intervals_of(folder: RunFolder) -> dict[str, Interval]:
    """The 95 % intervals of a run's headline figures, by resampling its patients; those that cannot be are left out."""
    try:
        side = read_side(folder.path)
    except MedvidError:  # a run that is not finished has no cases
        return {}
    found = {metric: _interval(side, metric) for metric in side.metrics if "/" not in metric}
    return {metric: interval for metric, interval in found.items() if interval and math.isfinite(interval.low)}


def _interval(side: Side, metric: str) -> Interval | None:
    try:
        return measure([side], metric, side.groups(None), "permutation").figures[side.name][1]
    except MedvidError:
        return None


def headline_of(folder: RunFolder) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """The figures of a run's summary, and the notes on them."""
    summary = read_json(folder.summary)
    return dict(summary.get("metrics", {})), tuple(summary.get("notes", ()))


def _lines(card: Card) -> Iterator[str]:
    yield f"# {card.name}"
    yield ""
    if card.data["generated"]:
        yield "**Trained on generated demo data: of no use on real data.**"
        yield ""
    model = card.model
    size = f"{large(model['parameters'])} parameters" if model.get("parameters") else ""
    yield f"Backbone `{model['backbone']}`, head `{model['head']}`; {size}. Weights of step {card.step}."
    yield ""
    yield f"- Intended use: {card.use}"
    yield f"- Licence of the weights: {card.licence}"
    yield f"- Answers: {card.answers['what']} of a {card.answers['where']}: {', '.join(card.answers['names'])}"
    cases = ", ".join(f"{facts['cases']} {split}" for split, facts in card.data["splits"].items())
    yield f"- Data: `{card.data['dataset']}`, {cases} cases" + (f"; {card.data['about']}" if card.data["about"] else "")
    yield ""
    yield f"## Figures of the {card.data['evaluated']} cases, protocol `{card.protocol}`"
    yield ""
    yield "| figure | value | 95 % interval |"
    yield "|---|---|---|"
    shown = next(iter(card.figures), "")  # of which each label is listed too; card.json has the others
    for name, value in card.figures.items():
        if "/" in name and not name.startswith(f"{shown}/"):
            continue
        low_high = "{:.4g} to {:.4g}".format(*card.intervals[name]) if name in card.intervals else ""
        yield f"| {name} | {'not defined' if value is None else f'{value:.4g}'} | {low_high} |"
    yield ""
    yield from (f"- {note}" for note in card.notes)
    yield ""
    yield "## Predict with it"
    yield ""
    yield "    platform predict model.zip FILE ... -o predictions"
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    yield f"Made with {versions}."
