"""Writing generated films."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_QUANTISER = 20  # of H.264, 0 to 51: differences are hardly visible


def encode(path: Path, frames: np.ndarray, rate: Fraction) -> None:
    """Write frames (T, H, W, 3) uint8 of even height and width as H.264, each an independent key frame."""
    options = {"preset": "ultrafast", "qp": str(_QUANTISER), "g": "1", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
