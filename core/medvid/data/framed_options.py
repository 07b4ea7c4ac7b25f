"""Options of data sets whose frames, or slices, have annotations of their own."""

from pydantic import PositiveInt

from medvid.config.options import DatasetOptions
from medvid.plugin.info import Answered


class FramedOptions(DatasetOptions):
    """Base of these options: what a window of frames is, besides its length. `input_info` has to pass both on."""

    stride: PositiveInt = 1
    """Distance of the frames (or slices) of a window: 4 for every fourth one. Every frame gets an answer all the
    same."""
    answers: Answered = "all"
    """Which frames of a window are answered, and trained on. all: each of them. last: the one that it ends with, so
    that an answer needs no later frame (online). centre: the one in its middle (offline). What a window lacks at the
    ends of a case is filled with the first frame, or the last."""
