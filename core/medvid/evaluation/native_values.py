"""Values at each voxel of a file's own grid."""

import torch
from torch import Tensor

from medvid.evaluation.restore import NativeLabels


def as_they_are(scores: Tensor) -> Tensor:
    """The values themselves, in float32: nothing is to be decided."""
    return scores.float()


class NativeValues(NativeLabels):
    """Values (V, ``*grid.native_shape``) float32, interpolated as the scores of `NativeLabels`.

    A voxel that lies outside of the prepared (cropped) volume is NaN: nothing is predicted there.
    """

    def _new(self, slab: Tensor) -> Tensor:
        return torch.full((len(slab), *self._shape), torch.nan, device=slab.device)
