"""Where the clips of an evaluation lie in a video."""

from typing import Literal

Placement = Literal["spread", "segments"]
"""Where n clips lie in the time T that a clip can start in: ``spread`` from its start to its end, a single one in the
middle; ``segments``: clip i at i / n of it, so a single one at the start, as TimeSformer's authors have it."""
