"""The head for sequences of frames, or slices: a model of time over what any backbone sees of each."""

import torch
from torch import Tensor
from torch.nn import functional

from medvid.config.axes import SLICES
from medvid.errors import ConfigError
from medvid.losses.loss import in_full
from medvid.losses.sum import values_in_whole
from medvid.models.features import FeatureInfo
from medvid.models.head import Head
from medvid.plugin import InputInfo, TargetInfo
from medvid.plugin.specs import What
from medvid_heads.config import SequenceOptions, TCNOptions
from medvid_heads.frames import FrameClassifier, FrameEmbeddings, FrameMeans, FrameRegression
from medvid_heads.temporal import TCN, TemporalModel, Transformer

CLIPPED = 4.0
"""Differences of log-probabilities count no more than this (MS-TCN, section 3.3)."""


def sequence_head(
    options: SequenceOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
) -> Head:
    """The head `sequence`: of a class or labels per frame, or of values.

    Of a backbone that gives embeddings of frames, as those of images do, it takes these, else the means of a map.

    Raises:
        ConfigError: the model of time looks further than a window of the training; values are to be smoothed; or the
            backbone tells no frame from another, see `FrameMeans`.
    """
    given, what, outputs = feature_info.frames, target_info.what, len(target_info.names)
    seen = FrameEmbeddings(given) if given else FrameMeans(feature_info, input_info)
    window = input_info.size[SLICES[input_info.axes]]
    temporal: TemporalModel
    if isinstance(options.temporal, TCNOptions):
        temporal = TCN(options.temporal, seen.width, outputs, what, window)
    else:
        temporal = Transformer(options.temporal, seen.width, outputs, window)
    if what != "value":
        return SequenceClassifier(seen, temporal, options.smoothing, what)
    if options.smoothing:
        raise ConfigError(
            "head.smoothing is of the probabilities of neighbouring frames, but the frames are annotated with values",
            hint="leave it out",
        )
    return FrameRegression(seen, temporal, target_info)


class SequenceClassifier(FrameClassifier):
    """One class, or any of several labels, of each frame, with a further loss on jumps from frame to frame.

    Args:
        seen: what is seen of each frame.
        layers: make numbers of the sequence.
        smoothing: weight of that loss; 0: none.
        what: is predicted.
    """

    def __init__(self, seen: FrameMeans | FrameEmbeddings, layers: TemporalModel, smoothing: float, what: What) -> None:
        super().__init__(seen, layers)
        self._smoothing, self._what = smoothing, what

    def loss(self, output: Tensor | tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
        """The loss of the criterion, and as ``loss_jumps`` that of `smoothness`; means over the stages."""
        losses = super().loss(output, target)
        if not self._smoothing:
            return losses
        stages = (output,) if isinstance(output, Tensor) else output
        jumps = torch.stack([smoothness(stage, self._what) for stage in stages]).mean()
        [known, all_alike] = values_in_whole([losses, {"loss": jumps}], len(target)).unbind()
        parts = {name: value for name, value in losses.items() if name not in ("loss", "weight")}
        return {"loss": known + self._smoothing * all_alike, **parts, "jumps": all_alike}


def smoothness(logits: Tensor, what: What) -> Tensor:
    """The truncated mean squared error of MS-TCN (section 3.3): of log-probabilities, from each frame to the next.

    Each is drawn to that of the frame before it, which is taken as it is.

    Args:
        logits: (B, T, N).
        what: of classes or labels.
    """
    logits = in_full(logits)
    if logits.shape[1] == 1:  # the mean of nothing would be NaN
        return logits.new_zeros(())
    log_p = logits.log_softmax(dim=-1) if what == "class" else functional.logsigmoid(logits)
    return (log_p[:, 1:] - log_p[:, :-1].detach()).square().clamp(max=CLIPPED**2).mean()
