"""What `train.freeze` leaves as it is: parameters, and whole modules with their running statistics."""

import logging
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice

from torch import nn

from medvid.config.task import TrainOptions
from medvid.errors import ConfigError
from medvid.sentences import listed

logger = logging.getLogger("medvid")

_FOREVER = float("inf")


class Frozen:
    """The parameters that the recipe freezes, for a while or for good.

    A module of which every parameter is frozen runs as in evaluation: norms use and keep their running statistics, and
    nothing is dropped, so that it stays the function that it was.

    Args:
        model: the model; parameters that are frozen for good need no gradient from now on.
        options: the training recipe.

    Raises:
        ConfigError: no parameter has such a name, or none is left to train.
    """

    def __init__(self, model: nn.Module, options: TrainOptions) -> None:
        self._model = model
        self._until: dict[nn.Parameter, float] = {}
        named = dict(model.named_parameters())
        for number, freeze in enumerate(options.freeze):
            matched = [parameter for name, parameter in named.items() if fnmatch(name, freeze.parameters)]
            if not matched:
                raise ConfigError(
                    f"train.freeze[{number}].parameters is {freeze.parameters!r}, which no parameter of the model "
                    "matches",
                    hint=f"the model's parameters are called e.g. {', '.join(islice(named, 3))}",
                )
            until = freeze.steps or _FOREVER
            self._until |= {parameter: max(until, self._until.get(parameter, 0)) for parameter in matched}
        for parameter, until in self._until.items():
            if until == _FOREVER:
                parameter.requires_grad_(False)
        if self._until and not any(parameter.requires_grad for parameter in named.values()):
            raise ConfigError(
                "train.freeze freezes every parameter of the model, so there is nothing to train",
                hint="leave some out, such as the head: {parameters: backbone.*}",
            )
        if self._until and (resting := [name or "the model" for name, _ in self._resting(model, 0)]):
            logger.info("frozen, and run as in evaluation (no dropout, no new statistics): %s", listed(resting, 3))

    def changes_at(self, step: int) -> bool:
        """Whether some parameters are trained from this step on."""
        return step in self._until.values()

    def set_modes(self, step: int) -> None:
        """Put the modules into training mode, and those that are frozen at a step into evaluation mode."""
        self._model.train()
        for _, module in self._resting(self._model, step):
            module.eval()

    def drop_gradients(self, step: int) -> None:
        """Take the gradients away from parameters that are frozen at a step: optimizers skip those without one."""
        for parameter, until in self._until.items():
            if step < until:
                parameter.grad = None

    def _resting(self, module: nn.Module, step: int, name: str = "") -> Iterator[tuple[str, nn.Module]]:
        """The largest modules that have parameters, all of them frozen at a step."""
        frozen = [step < self._until.get(parameter, 0) for parameter in module.parameters()]
        if frozen and all(frozen):
            yield name, module
        elif any(frozen):
            for child, part in module.named_children():
                yield from self._resting(part, step, f"{name}.{child}".lstrip("."))
