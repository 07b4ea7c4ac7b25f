"""Colours of labels, the same in written masks and in pictures."""

COLOURS = (
    "#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#42d4f4", "#f032e6", "#bfef45",
    "#fabed4", "#469990", "#dcbeff", "#9a6324", "#aaffc3", "#911eb4", "#fffac8", "#ffd8b1",
)  # fmt: skip
"""Of labels 1, 2, ...: distinguishable on gray, repeated if there are more labels."""


def label_colour(label: int) -> str:
    """The colour of a label id from 1, as #rrggbb."""
    return COLOURS[(label - 1) % len(COLOURS)]


def png_palette(labels: int) -> bytes:
    """Red, green and blue of label ids 0 to 255; the background is black, and a single foreground is white."""
    colours = ["#ffffff"] if labels == 2 else [label_colour(label) for label in range(1, 256)]
    return bytes(3) + b"".join(bytes.fromhex(colour[1:]) for colour in colours)
