"""Labels that only their side tells apart, and random changes that exchange sides."""

import re
from collections.abc import Sequence
from typing import Any

from medvid.planning.draft import Draft
from medvid.planning.request import Request


def keep_sides(draft: Draft, labels: Sequence[str], request: Request) -> None:
    """Mirror nothing from left to right where labels have sides; in nnU-Net's style, which does, say so.

    Args:
        draft: the task, with ``dataset.augment``.
        labels: their names.
        request: what was asked.
    """
    sided = [name for name in labels if has_side(name)]
    if not sided:
        return
    if request.style == "medvid":
        kept = (_without_right(each) for each in draft.values["dataset"]["augment"])
        draft.values["dataset"]["augment"] = [each for each in kept if each]
        draft.reasons["dataset", "augment"] = f"no flip that would exchange left and right, as in {sided[0]}"
    else:
        draft.reasons["dataset", "augment"] = (
            f"flips exchange left and right, as in {sided[0]}; --style medvid leaves those out"
        )


def has_side(name: str) -> bool:
    """Whether left or right is a word of the name: left_kidney, LeftKidney, "kidney, right"."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return bool({"left", "right"} & {word.lower() for word in words})


def _without_right(block: dict[str, Any]) -> dict[str, Any]:
    """A transform without what mirrors left to right; empty where nothing is left of it."""
    if block["name"] == "horizontal_flip":
        return {}
    return block | {"axes": ["A", "S"]} if block["name"] == "flip" else block
