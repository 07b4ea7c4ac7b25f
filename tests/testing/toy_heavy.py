"""Options whose module imports something heavy."""

import numpy as np

from medvid.config.options import BackboneOptions


class HeavyOptions(BackboneOptions):
    width: int = int(np.int64(4))
