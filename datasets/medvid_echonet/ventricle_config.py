"""Options of EchoNet-Dynamic's left ventricles."""

from typing import Literal

from medvid.data.videos.masked.options import Color, MaskedVideoOptions, PositiveColor, Size2D
from medvid_echonet.config import SIZE

LABELS = ("background", "left_ventricle")


class EchoNetLVOptions(MaskedVideoOptions):
    """EchoNet-Dynamic (Ouyang et al., Nature 2020): the left ventricle, traced at end diastole and end systole.

    `root` has FileList.csv, VolumeTracings.csv and Videos/. The two traced frames of a video are its annotation, the
    larger ventricle being that of ED whatever their order in the table; the other frames are unknown. Videos without a
    tracing are left out, as by the authors.
    """

    name: Literal["echonet_lv"] = "echonet_lv"
    size: Size2D = (SIZE, SIZE)
    mean: Color = (0.1274, 0.1274, 0.1274)
    std: PositiveColor = (0.1956, 0.1956, 0.1956)

    def label_names(self) -> tuple[str, ...]:
        """Background and left ventricle."""
        return LABELS
