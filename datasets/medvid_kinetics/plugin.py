"""Kinetics."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    yield DatasetSpec(
        name="kinetics",
        target="medvid_kinetics.data:Kinetics",
        config="medvid_kinetics.config:KineticsOptions",
        axes="video",
        where="case",
        what=("class", "labels"),
        demo="medvid_kinetics.clips:generate",
        demo_config="medvid_kinetics.config:ClipsOptions",
        summary="Kinetics-400, -600 and -700, in lists of PySlowFast or mmaction2 or in folders of classes",
        examples=(
            Example(
                {"frames": 4, "rate": 2, "size": 32},
                generate={"train": 1, "validation": 1, "size": [40, 48], "seconds": [0.4, 0.6]},
            ),
        ),
    )
