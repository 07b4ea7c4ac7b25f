"""The only way from a model to what is inferred of cases: checked, and within memory."""

import logging
from collections.abc import Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.devices.determinism import repeatable_inference
from medvid.errors import NumericError
from medvid.evaluation.evaluator import Inference
from medvid.models.finite import names_of_non_finite
from medvid.models.frame_head import Context
from medvid.scarcity import is_of_memory
from medvid.sentences import listed

log = logging.getLogger(__name__)

Part = Literal["__call__", "embed", "answer"]
"""Of a model: all of it, or one of the two that a model of frames may have, see `medvid.models.model.Model`."""

_fitting: WeakKeyDictionary[nn.Module, dict[Part, int]] = WeakKeyDictionary()
"""The largest batch that is known to fit into memory, of the parts of models for which a larger one did not."""


class InferenceModel(nn.Module):
    """A model as inferences call it: in eval mode, cast as in training, with float32 logits, all of them finite.

    It gives the same bits each time, whether or not the training does (see `repeatable_inference`).

    Only the model itself runs under autocast, so that metrics and resampling around it keep float32. It is not
    wrapped for distributed training either: processes may infer different numbers of windows.

    Args:
        fabric: launched.
        model: on its device.
    """

    def __init__(self, fabric: Fabric, model: nn.Module) -> None:
        super().__init__()
        self.model = model.eval()
        self.autocast = fabric.autocast
        self._finite: list[Tensor] = []  # of each batch, on the device
        self._suspect = ""

    def infer(self, inference: Inference, names: Sequence[str], loaded: Sequence[Any], *, final: bool) -> Sequence[Any]:
        """What is inferred of cases, once it is known that all logits were finite.

        The device is asked once for all windows of the cases. Only if a logit is not finite, the cases are inferred
        again, one by one and with a look at each batch, to say which case it is and why.

        Raises:
            NumericError: a logit is NaN or infinite, and would be scored, or written, as some label.
        """
        self._finite.clear()
        with torch.inference_mode():
            inferred = inference.infer(self, loaded, final=final)
            if not self._finite or bool(torch.stack(self._finite).all()):
                return inferred
            for self._suspect, one in zip(names, loaded, strict=True):
                inference.infer(self, [one], final=final)
        raise NumericError(
            f"the model's output for case {', '.join(names)} is not finite, though it was when inferred again",
            hint="the device may be faulty, or a kernel of it not deterministic: try again, or on another device",
        )

    def forward(self, input: Tensor) -> Tensor:
        """Logits of input (B, C, *S), in smaller batches from the moment on that memory runs out.

        Raises:
            torch.OutOfMemoryError: or whatever tells that memory ran out, even with one example at a time.
        """
        return self._checked("__call__", input)

    @property
    def context(self) -> Context | None:
        """The model's, if it has any."""
        return getattr(self.model, "context", None)

    def embed(self, input: Tensor) -> Tensor:
        """Embeddings (B, T, D) of the frames of an input (B, C, *S), float32; memory as `forward`."""
        return self._checked("embed", input)

    def answer(self, embeddings: Tensor) -> Tensor:
        """Logits or numbers (B, T, N) of embeddings (B, T, D), float32; memory as `forward`."""
        return self._checked("answer", embeddings)

    def _checked(self, part: Part, input: Tensor) -> Tensor:
        logits = self._logits_that_fit(part, input)
        finite = torch.isfinite(logits).all()
        if self._suspect and not bool(finite):
            raise NumericError(f"the model's output for case {self._suspect} is not finite", hint=self._reason(input))
        self._finite.append(finite)
        return logits

    def _logits_that_fit(self, part: Part, input: Tensor) -> Tensor:
        fitting = _fitting.setdefault(self.model, {})
        size = asked = min(len(input), fitting.get(part, len(input)))
        while (logits := self._logits(part, input, size)) is None:
            size //= 2
            if input.device.type == "cuda":
                torch.cuda.empty_cache()
        if size < asked:
            fitting[part] = size
            log.warning(
                "memory is not enough for %d windows at once: from now on it is %d (evaluation.window_batch=%d)",
                asked, size, size,
            )  # fmt: skip
        return logits

    def _logits(self, part: Part, input: Tensor, size: int) -> Tensor | None:
        """Float32 logits, so many examples at once; None if that is too much, and less is possible."""
        try:
            parts = []
            for piece in torch.split(input, size):
                with repeatable_inference(), self.autocast():
                    parts.append(getattr(self.model, part)(piece).float())
            return parts[0] if len(parts) == 1 else torch.cat(parts)
        except Exception as error:
            if size == 1 or not is_of_memory(error):
                raise
        return None

    def _reason(self, input: Tensor) -> str:
        if not bool(torch.isfinite(input).all()):
            return "the case itself has values that are NaN or infinite: repair or remove it"
        if names := names_of_non_finite(self.model.state_dict()):
            return f"the weights are not finite either ({listed(names, 3)}): use an earlier checkpoint, or train anew"
        return (
            "case and weights are finite, so a number became too large on the way: try train.precision=fp32; if the "
            "training diverged, train anew with a lower train.optimizer.lr or train.clip_norm=1"
        )
