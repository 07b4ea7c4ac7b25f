"""What earlier versions called otherwise in task files: refused by name, with what to write now, never reread."""

from dataclasses import dataclass, replace

from medvid.config.explain import UNKNOWN_KEY
from medvid.config.yaml import Problem


@dataclass(frozen=True, slots=True)
class Renamed:
    """A key, or a value, that was another one before.

    Args:
        path: dotted path of the key.
        now: what to write instead, said behind the path.
        finding: how what is found to be wrong with it begins.
    """

    path: str
    now: str
    finding: str = UNKNOWN_KEY

    def explains(self, problem: Problem) -> bool:
        """Whether this is why there is a problem."""
        return ".".join(map(str, problem.path)) == self.path and problem.message.startswith(self.finding)


RENAMED = (
    Renamed("sample", "is called `demo` now; rename the block"),
    Renamed("dataset.layout", "is called `folder_layout` now; rename the key"),
    Renamed("dataset.if_missing", "`sample` is called `demo` now", "should be 'error' or 'demo', got 'sample'"),
    Renamed(
        "dataset.augment",
        "is a list of transforms now, in their order: [{name: horizontal_flip, probability: 0.5}, color_jitter]; "
        "platform plugins list names them; short_side, resized_crop, rate_jitter and repeats are keys of dataset",
        "should be a list, got {",
    ),
    Renamed("evaluation.tolerance", "is an option of the protocol now: `protocol: {name: medvid, tolerance: ...}`"),
)


def named_anew(problem: Problem) -> Problem:
    """The problem, with what to write where it comes from an earlier version's task file."""
    now = next((known.now for known in RENAMED if known.explains(problem)), "")
    return replace(problem, message=now) if now else problem
