"""What a model has to say about itself to be compared with its published code."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from comparison.fixture import Fixture
from medvid.models.model import Model
from medvid.models.weights import Translate


class Adapter(Protocol):
    """One published model; the checks themselves are the same for all, see `comparison.checks`."""

    source: str
    """Which published code the fixture's weights are from, as the plugin names it."""
    translate: Translate
    """The plugin's import of published weights."""
    inert: str | None
    """Pattern of published parameters and buffers that cancel out: gradients are rounding, and our model may lack them.
    """

    def __init__(self, fixture: Fixture) -> None:
        """Raise UnknownFormatError where the published constructor's arguments are not understood."""
        ...

    def build(self) -> Model:
        """Our model for the published constructor's arguments, without dropout."""
        ...

    def arrange(self, input: Tensor) -> Tensor:
        """The fixture's input, which is laid out as the published code takes it, as (B, C, *S)."""
        ...

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        """The modules of ours whose outputs are the fixture's intermediates, by the fixture's names."""
        ...

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """The recorded loss under ``"loss"``, and its parts under the fixture's names."""
        ...
