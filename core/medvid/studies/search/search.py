"""A search: its trials and what they found, what it runs next, and which trial it gives up.

All of it is read from files each time. Any number of processes can work on one search: who proposes a trial holds the
lock of the study's folder.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from medvid.config.load import dump_task, load_task
from medvid.errors import ConfigError, DataError, DistributedError
from medvid.files import json_text, make_folder, read_json, write_json, write_text
from medvid.plugin.host import Host
from medvid.runs.folder import RunFolder
from medvid.runs.origin import read_task
from medvid.sentences import in_lines
from medvid.similar import suggest
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.options import DEFAULT, StudyOptions
from medvid.studies.process import note_failure
from medvid.studies.search.proposals import number_of_trials, propose
from medvid.studies.search.pruning import is_to_prune
from medvid.studies.search.trials import Outcome, Trial, outcome_of, own_values, read_trials, trial_cells, write_trial
from medvid.studies.search_options import SearchOptions
from medvid.studies.states import State, state_of

logger = logging.getLogger("medvid")

HOPELESS = 3
"""Trials that may fail before one has finished."""
ENDED = (State.FINISHED, State.PRUNED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a search is for.

    Args:
        name: of the metric.
        sign: 1 where a higher one is better, -1 where a lower one is.
    """

    name: str
    sign: int


@dataclass(frozen=True)
class Search:
    """The search of a study.

    Args:
        folder: of the study.
        study: its options, with a search.
        folds: number of folds; 0 where there are none.
    """

    folder: StudyFolder
    study: StudyOptions
    folds: int

    @property
    def options(self) -> SearchOptions:
        assert self.study.search, "a study with a search"
        return self.study.search

    @cached_property
    def task(self) -> Mapping[str, Any]:
        """The resolved task that trials change."""
        return read_task(self.folder.task(DEFAULT))

    @cached_property
    def own(self) -> dict[str, Any]:
        """The task's own values."""
        return own_values(self.task, self.options.space)

    @property
    def count(self) -> int:
        """Number of trials."""
        return number_of_trials(self.options, self.own)

    def cells_of(self, trial: Trial) -> list[Cell]:
        """Of a trial: first the one that is searched, on the first fold and with the first seed."""
        return trial_cells(trial, self.options.then, self.study.seeds[0], self.folds)

    def cells(self) -> list[Cell]:
        """The cells that there are: one of each trial, then the others of the best ones once all trials have ended.

        Raises:
            DataError: the file of a trial is damaged.
        """
        outcomes = self.outcomes()
        return list(dict.fromkeys([self.cells_of(outcome.trial)[0] for outcome in outcomes] + self.then(outcomes)))

    def outcomes(self) -> list[Outcome]:
        """How far each trial is, in their order.

        Raises:
            DataError: the file of a trial is damaged.
            ConfigError: finished runs do not have the metric, or neither a higher nor a lower one is better.
        """
        trials = read_trials(self.folder)
        figure = self.figure(trials) or Figure("", 1)
        split = self.task["evaluation"]["split"]
        return [
            outcome_of(self.folder, trial, self.cells_of(trial)[0], split, figure.name, figure.sign) for trial in trials
        ]

    def figure(self, trials: list[Trial]) -> Figure | None:
        """What is searched for; None as long as no trial has finished, whose summary tells it.

        Raises:
            ConfigError: as `outcomes`.
        """
        for trial in trials:
            summary: dict[str, Any] = {}
            with suppress(DataError):  # the run writes it anew
                summary = read_json(self.cells_of(trial)[0].run_folder(self.folder).summary)
            if summary.get("status") == "finished":
                return self._figure_of(summary)
        return None

    def _figure_of(self, summary: Mapping[str, Any]) -> Figure:
        name = self.options.metric or summary["monitor"]
        if name not in summary["metrics"]:
            self._refuse_metric(list(summary["metrics"]))
        ways = {"maximise": "higher", "minimise": "lower"}
        better = ways.get(self.options.direction or "") or summary["better"].get(name.partition("/")[0])
        if not better:
            raise ConfigError(
                f"neither a higher nor a lower {name} is better by its definition",
                hint="say which way it is searched: search.direction: maximise, or minimise",
            )
        return Figure(name, 1 if better == "higher" else -1)

    def check_validations(self, folder: RunFolder, known: list[str]) -> None:
        """Refuse a metric that is a misspelt one, at the first validation: the closing evaluation has all of them.

        Args:
            folder: of the run.
            known: what it was validated by.

        Raises:
            ConfigError: naming those that there are.
        """
        name = self.options.metric
        if name and name not in known and not folder.summary.is_file() and (suggest(name, known) or self.options.prune):
            self._refuse_metric(known, " after a validation" if self.options.prune else "")

    def _refuse_metric(self, known: list[str], when: str = "") -> None:
        name = self.options.metric or ""
        raise ConfigError(
            f"search.metric is {name}, which runs do not have{when}{suggest(name, known)}",
            hint=f"they have: {', '.join(known)}. Correct search.metric in the study file, and start it again",
        )

    def propose(self, host: Host) -> Cell | None:
        """Propose a trial, and write what it is; the study's lock is held.

        Returns:
            Its cell; None where the values do not fit together: the trial has failed then.

        Raises:
            MedvidError: as `outcomes`; or what is proposed next cannot be found out.
        """
        outcomes = self.outcomes()
        known = {outcome.trial.number for outcome in outcomes}
        number = next(number for number in range(self.count) if number not in known)
        trial = Trial(number, propose(self.options, self.study.study.seed, number, self.own, outcomes))
        logger.info("%s, trial %d of %d: %s", trial.name, number + 1, self.count, told(trial))
        cell = self.cells_of(trial)[0]
        try:
            task = load_task(self.folder.task(DEFAULT), host, overrides=trial.values if number else {})
        except ConfigError as error:
            logger.warning("%s: %s", trial.name, error)
            make_folder(self.folder.logs)
            note_failure(self.folder, cell, error.exit_code, str(error))
            write_trial(self.folder, trial)
            return None
        write_text(self.folder.task(trial.name), dump_task(task), 0o600)
        write_trial(self.folder, trial)  # last: from now on it exists
        return cell

    def to_run(self, host: Host, *, retry: bool, without: set[Cell]) -> Iterator[Cell]:
        """What can be run now: what nobody works on, a new trial, and after the last the runs of the best.

        Args:
            host: the plugins.
            retry: whether failed ones are run again.
            without: what is not to be given.

        Raises:
            DistributedError: the first trials have all failed.
            MedvidError: as `propose`.
        """
        outcomes = self.outcomes()
        left = (State.WAITING, State.INTERRUPTED, *([State.FAILED] if retry else []))
        cells = [self.cells_of(outcome.trial)[0] for outcome in outcomes if outcome.state in left]
        yield from (cell for cell in cells if cell not in without)
        self._check_hope(outcomes)
        while len(outcomes) < self.count:
            if cell := self.propose(host):
                yield cell
            outcomes = self.outcomes()
            self._check_hope(outcomes)
        of_best = (cell for cell in self.then(outcomes) if cell not in without)
        yield from (cell for cell in of_best if state_of(self.folder, cell) in left)

    def then(self, outcomes: list[Outcome]) -> list[Cell]:
        """The cells of the best trials, once all have ended: those of all folds and seeds, where that is asked for."""
        then, all_ended = self.options.then, all(outcome.state in ENDED for outcome in outcomes)
        if then is None or not all_ended or len(outcomes) < self.count:
            return []
        return [cell for outcome in best_first(outcomes)[: then.best] for cell in self.cells_of(outcome.trial)]

    def is_to_give_up(self, cell: Cell) -> bool:
        """Whether the run of a trial is to be given up now, by its validations and those of the others."""
        if self.options.prune is None:
            return False
        figures = {outcome.trial.name: outcome.validations for outcome in self.outcomes()}
        mine = figures.pop(cell.configuration, ())
        return is_to_prune(self.options.prune, mine, list(figures.values()))

    def give_up(self, cell: Cell, validations: int) -> None:
        """Note that a trial was given up after so many validations."""
        write_json(cell.pruned(self.folder), {"validations": validations})

    def _check_hope(self, outcomes: list[Outcome]) -> None:
        failed = [outcome for outcome in outcomes if outcome.state is State.FAILED]
        if len(failed) >= HOPELESS and not any(outcome.state is State.FINISHED for outcome in outcomes):
            logs = [self.cells_of(outcome.trial)[0].log(self.folder) for outcome in failed]
            raise DistributedError(
                f"{len(failed)} trials of {self.folder.name} have failed and none has finished; see:{in_lines(logs)}",
                hint=f"mend what is wrong, then: platform study resume --retry {self.folder.path}",
            )


def best_first(outcomes: list[Outcome]) -> list[Outcome]:
    """The finished trials that have the figure, the best first; of equal ones the earlier."""
    scored = [outcome for outcome in outcomes if outcome.value is not None]
    return sorted(scored, key=lambda outcome: -(outcome.value or 0.0))


def summary_lines(search: Search, shown: int = 3) -> list[str]:
    """How far a search is, and its best trials, for people."""
    outcomes = search.outcomes()
    ended = sum(outcome.state in ENDED for outcome in outcomes)
    pruned = sum(outcome.state is State.PRUNED for outcome in outcomes)
    lines = [f"{ended} of {search.count} trials have ended" + (f", {pruned} of them given up" if pruned else "")]
    if figure := search.figure([outcome.trial for outcome in outcomes]):
        lines += [
            f"{outcome.trial.name}  {figure.name} {figure.sign * (outcome.value or 0.0):.4g}  {told(outcome.trial)}"
            for outcome in best_first(outcomes)[:shown]
        ]
        lines += ["the best was selected on these cases: its figure is too good; evaluate another split to report one"]
    return lines


def told(trial: Trial) -> str:
    """The values of a trial, for people."""
    texts = (
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {json_text(value)}"
        for key, value in trial.values.items()
    )
    return ", ".join(texts) + ("" if trial.number else " (the task's own)")
