"""Options of EchoNet-Dynamic's protocol."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt

from medvid.config.options import ProtocolOptions
from medvid.plugin.info import TargetInfo
from medvid.sentences import listed


class EchoNetProtocolOptions(ProtocolOptions):
    """Figures of ejection fractions as EchoNet-Dynamic gives them: the mean over the clips of a video is its answer.

    The published figures are of all clips: `evaluation.clips: all`; `clips: 1` is one clip, where the authors draw its
    place at random and medvid takes the middle.
    """

    name: Literal["echonet"]
    measure: str = "EF"
    """The value that is the ejection fraction."""
    thresholds: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)] = (35, 40, 45, 50)
    """Ejection fractions above which a heart counts as positive, in the unit of the data; of each there is an AUROC of
    the predicted one."""
    resamples: NonNegativeInt = 10_000
    """Resamples of the videos by which the 90 % intervals of MAE, RMSE and R2 are found, 20 at least; 0: none."""

    def check_target(self, info: TargetInfo) -> None:
        """Refuse a target without that value, see `ProtocolOptions.check_target`."""
        if self.measure not in info.names:
            raise ValueError(f"measure is {self.measure!r}, but the values are {listed(info.names)}")
