"""What is said of the views that answers come from."""

from medvid.config.evaluation import CaseEvaluationOptions
from medvid.evaluation.protocols import ViewProtocol


def view_note(options: CaseEvaluationOptions, protocol: ViewProtocol, size: tuple[int, ...]) -> str:
    """How many views of a case there are, and how they become one answer.

    Args:
        options: the task's evaluation block.
        protocol: how views are combined.
        size: of the views, *S.
    """
    clips = str(options.clips)
    if options.clips == "all":
        clips = f"clips from every {f'{options.clip_stride} frames' if options.clip_stride > 1 else 'frame'}"
    views = f"{clips} x {options.crops} views (clips x crops) of {' x '.join(map(str, size))}"
    how = f"mean of {protocol.average}"
    if protocol.what == "value":
        how = "mean of values"
    elif protocol.average == "maximum":
        how = "largest of probabilities"
    return f"protocol {options.protocol.name}: {views}, {how}"
