"""EchoNet-Dynamic."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, ProtocolSpec, hookimpl

_PAPER = "EchoNet-Dynamic (Ouyang et al., Nature 2020)"


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set and the protocol `echonet`."""
    yield DatasetSpec(
        name="echonet",
        target="medvid_echonet.data:EchoNet",
        config="medvid_echonet.config:EchoNetOptions",
        axes="video",
        where="case",
        what=("value",),
        demo="medvid_echonet.loops:generate",
        demo_config="medvid_echonet.config:CineLoopOptions",
        summary="EchoNet-Dynamic: ultrasound videos of the heart with ejection fraction and volumes",
        paper=_PAPER,
        examples=(
            Example(
                {"frames": 4, "rate": 8, "size": 32, "short_side": [32, 32], "margin": 4},
                generate={"train": 3, "validation": 1, "test": 1, "size": 32, "frames": [30, 40]},
            ),
        ),
    )
    yield DatasetSpec(
        name="echonet_lv",
        target="medvid_echonet.ventricle:EchoNetLV",
        config="medvid_echonet.ventricle_config:EchoNetLVOptions",
        axes="video",
        where="voxel",
        what=("class",),
        demo="medvid_echonet.loops:generate",
        demo_config="medvid_echonet.config:CineLoopOptions",
        summary="EchoNet-Dynamic: the left ventricle in ultrasound videos, traced in two frames of each",
        paper="EchoNet-Dynamic (Ouyang et al., Nature 2020)",
        examples=(
            Example(
                {"frames": 4, "size": [16, 16]},
                generate={"train": 3, "validation": 1, "test": 1, "size": 32, "frames": [30, 40]},
            ),
        ),
        exceptions={"geometry": "predictions are label maps, which are not read as videos"},
    )
    yield ProtocolSpec(
        name="echonet",
        target="medvid_echonet.protocol:echonet_protocol",
        config="medvid_echonet.protocol_config:EchoNetProtocolOptions",
        summary="ejection fractions as EchoNet-Dynamic scores them: 90 % intervals, AUROC above 35, 40, 45, 50 %",
        paper=_PAPER,
        where=("case",),
        what=("value",),
        examples=(Example({"measure": "one", "thresholds": [3.5], "resamples": 200}),),
    )
