"""EchoNet-Dynamic."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
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
        paper="EchoNet-Dynamic (Ouyang et al., Nature 2020)",
        examples=(
            Example(
                {"frames": 4, "rate": 8, "size": 32, "short_side": [32, 32], "margin": 4},
                generate={"train": 3, "validation": 1, "test": 1, "size": 32, "frames": [30, 40]},
            ),
        ),
    )
