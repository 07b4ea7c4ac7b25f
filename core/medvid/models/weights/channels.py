"""First layers of another number of channels than the input's."""

import torch
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.tubelets import TubeletEmbedding, as_projection
from medvid.models.weights.translation import Translation


def with_channels(kernel: Tensor, channels: int) -> Tensor:
    """Bring a kernel (D, C, ...) to another number of channels, as TimeSformer's authors do.

    One channel stands for the sum of all; more are repeated, and scaled so that the response keeps its size.
    """
    published = kernel.shape[1]
    if channels == published:
        return kernel
    if channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    copies = torch.arange(channels, device=kernel.device) % published
    return kernel[:, copies] * (published / channels)


def fit_tubelets(result: Translation, name: str, embedding: TubeletEmbedding) -> None:
    """Make the kernel (D, C, t, h, w) of a published convolution that of an embedding, for as many channels as it has.

    Args:
        result: the translation.
        name: of the embedding's projection matrix.
        embedding: the model's.

    Raises:
        CheckpointError: its tubelets are others; flattened, they could have the same number of pixels.
    """
    kernel = result.tensors.get(name)
    if kernel is None or kernel.ndim != 5:
        return  # it is missing or something else, which is reported along with all others
    if kernel.shape[2:] != embedding.tubelet_size:
        raise CheckpointError(
            f"the file has tubelets of {list(kernel.shape[2:])} frames, rows and columns, the model of "
            f"{list(embedding.tubelet_size)}",
            hint="set tubelet_size and patch_size of the backbone to those of the file",
        )
    matrix = as_projection(with_channels(kernel, embedding.channels))
    if kernel.shape[1] != embedding.channels:
        result.resize(name, matrix)
    result.tensors[name] = matrix
