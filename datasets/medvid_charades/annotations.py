"""Charades' tables: a line per video, with the actions in it and when each takes place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medvid.data.problems import raise_together
from medvid.data.tables.columns import read_table
from medvid.errors import DataError

_ACTION = re.compile(r"c?(\d+)\s+(\d+(?:\.\d*)?)\s+(\d+(?:\.\d*)?)")
"""``c092 11.90 21.20``: an action, and the seconds at which it begins and ends."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action in a video.

    Args:
        label: its id.
        start: seconds from the first frame.
        end: likewise; the frame that is shown then does not show it any more.
    """

    label: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """A video of a list.

    Args:
        actions: in it; there may be none.
        subject: the person who acts; empty where the list does not say.
    """

    actions: tuple[Action, ...]
    subject: str = ""

    def labels(self) -> set[int]:
        """All actions of the video."""
        return {action.label for action in self.actions}

    def between(self, first: float, last: float) -> set[int]:
        """The actions that take place at any time from the first to the last frame of a clip, in seconds."""
        return {action.label for action in self.actions if action.start <= last and first < action.end}


def read_annotations(path: Path, count: int) -> Mapping[str, AnnotatedVideo]:
    """The videos of a table with the columns id, actions and perhaps subject, by their ids.

    Args:
        path: CSV file.
        count: of the actions there are.

    Raises:
        DataError: all lines that cannot be right.
    """
    table = read_table(path)
    name, actions, subject = (table.find(None, (column,), "table") for column in ("id", "actions", "subject"))
    if name is None or actions is None:
        raise DataError(f"{path} has no columns id and actions", hint="Charades_v1_train.csv has them")
    videos: dict[str, AnnotatedVideo] = {}
    problems = []
    for row in table.rows:
        try:
            if not row.cells[name] or row.cells[name] in videos:
                raise ValueError(f"{row.cells[name]} is named twice" if row.cells[name] else "column id is empty")
            found = actions_in(row.cells[actions], count)
            videos[row.cells[name]] = AnnotatedVideo(found, row.cells[subject] if subject else "")
        except ValueError as error:
            problems.append(DataError(f"{path}:{row.line}: {error}", hint="correct the table, or take the line out"))
    raise_together(problems, f"lines of {path} cannot be used")
    return videos


def actions_in(cell: str, count: int) -> tuple[Action, ...]:
    """The actions of a cell: ``c092 11.90 21.20;c147 0.00 12.60``; an empty one has none.

    Raises:
        ValueError: one is not written so, does not exist, or ends before it begins.
    """
    actions = []
    for text in filter(None, (one.strip() for one in cell.split(";"))):
        match = _ACTION.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not an action with its times: c092 11.90 21.20")
        action = Action(int(match[1]), float(match[2]), float(match[3]))
        if action.label >= count:
            raise ValueError(f"there is no action {text.split()[0]}: they are c000 to c{count - 1:03d}")
        if action.end < action.start:
            raise ValueError(f"the action {text!r} ends before it begins")
        actions.append(action)
    return tuple(actions)
