"""MixUp and CutMix of a batch, channels and frames side by side, between examples of different cases."""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor


def partners(cases: Sequence[str]) -> list[int]:
    """For each example the one that it is mixed with, a permutation.

    Examples of one case (repeated augmentation, Hoffer et al., CVPR 2020) would mix into what they are already, so
    the partner is of another case, unless one case has more than half of the examples. PySlowFast mixes each example
    with that at the same place from the end, which comes to the same for an even number of cases.

    Args:
        cases: the case of each example.
    """
    order = sorted(range(len(cases)), key=lambda example: cases.index(cases[example]))  # each case in one piece
    shift = max(Counter(cases).values())
    shifted = [*order[-shift:], *order[:-shift]]
    return [partner for _, partner in sorted(zip(order, shifted, strict=True))]


def blend(input: Tensor, partner: Tensor, share: float) -> tuple[Tensor, float]:
    """MixUp (Zhang et al., ICLR 2018): the weighted mean of two examples.

    Args:
        input: (B, C, *S).
        partner: (B,), int64, on the same device.
        share: of the example itself; the rest is its partner's.

    Returns:
        (B, C, *S), and the share.
    """
    return torch.lerp(input[partner], input, share), share


def paste(input: Tensor, partner: Tensor, share: float) -> tuple[Tensor, float]:
    """CutMix (Yun et al., ICCV 2019): a box of the partner in the last two axes, the same in all frames.

    Arguments as of `blend`; the box is placed at random, and cut off at the border.

    Returns:
        (B, C, *S), and the share of its area that is left of the example itself.
    """
    size = input.shape[-2:]
    reach = [int(0.5 * math.sqrt(1 - share) * length) for length in size]
    centre = [int(torch.randint(length, ())) for length in size]
    low = [max(0, middle - half) for middle, half in zip(centre, reach, strict=True)]
    high = [min(length, middle + half) for length, middle, half in zip(size, centre, reach, strict=True)]
    rows, columns = (slice(*ends) for ends in zip(low, high, strict=True))
    mixed = input.clone()
    mixed[..., rows, columns] = input[..., rows, columns][partner]
    area = math.prod(end - start for start, end in zip(low, high, strict=True))
    return mixed, 1 - area / math.prod(size)
