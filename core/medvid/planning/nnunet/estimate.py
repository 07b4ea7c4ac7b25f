"""How large a U-Net is: elements of its feature maps, in which nnU-Net measures memory, and parameters."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from medvid.planning.nnunet.topology import Topology

_CONVS = 2
"""Of a stage of the plain network, also in its decoder; the residual decoder has 1."""
_BLOCKS = (1, 3, 4, *[6] * 20)
"""Residual blocks per stage."""


def convs_per_stage(topology: Topology, residual: bool) -> tuple[list[int], list[int]]:
    """Convolutions (plain) or blocks (residual) of the encoder's stages, and convolutions of the decoder's."""
    stages = len(topology.strides)
    if residual:
        return list(_BLOCKS[:stages]), [1] * (stages - 1)
    return [_CONVS] * stages, [_CONVS] * (stages - 1)


def feature_map_elements(topology: Topology, classes: int, residual: bool) -> int:
    """Elements that the convolutions of a network without deep supervision put out, for one example.

    Args:
        topology: with its patch.
        classes: entries of `labels` in dataset.json, whatever they mean.
        residual: whether the encoder is.
    """
    features, sizes = topology.features(), _voxels(topology)
    encoder, decoder = convs_per_stage(topology, residual)
    total = features[0] * sizes[0] if residual else 0  # the stem
    for stage, count in enumerate(encoder):
        changes = residual and (max(topology.strides[stage]) > 1 or features[stage] != features[max(stage - 1, 0)])
        total += features[stage] * sizes[stage] * (count * (2 if residual else 1) + changes)
    total += sum(features[level] * sizes[level] * (1 + count) for level, count in enumerate(decoder))
    return total + classes * sizes[0]


def parameters(topology: Topology, channels: int, classes: int, residual: bool) -> int:
    """Weights of the network, with the convolution to classes of every level of the decoder.

    Args:
        topology: its stages.
        channels: of the input.
        classes: that it puts out.
        residual: whether the encoder is.
    """
    widths, kernels = topology.features(), [math.prod(kernel) for kernel in topology.kernels]
    encoder, decoder = convs_per_stage(topology, residual)
    total = _conv(channels, widths[0], kernels[0]) if residual else 0
    before = widths[0] if residual else channels
    for width, kernel, count in zip(widths, kernels, encoder, strict=True):
        total += _conv(before, width, kernel) + (count * (2 if residual else 1) - 1) * _conv(width, width, kernel)
        if residual and before != width:
            total += before * width + 2 * width  # the skip: 1 x 1 without bias, and a norm
        before = width
    for level, (fine, coarse) in enumerate(pairwise(widths)):
        total += coarse * fine * math.prod(topology.strides[level + 1]) + fine
        total += _conv(2 * fine, fine, kernels[level]) + (decoder[level] - 1) * _conv(fine, fine, kernels[level])
        total += (fine + 1) * classes
    return total


def _conv(inputs: int, outputs: int, kernel: int) -> int:
    """With bias and an affine norm."""
    return inputs * outputs * kernel + 3 * outputs


def _voxels(topology: Topology) -> list[int]:
    return [math.prod(size) for size in _sizes(topology.patch, topology.strides)]


def _sizes(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    size = patch
    for stride in strides:
        size = [voxels // step for voxels, step in zip(size, stride, strict=True)]
        yield size
