"""Something-Something V2."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    yield DatasetSpec(
        name="ssv2",
        target="medvid_ssv2.data:SSV2",
        config="medvid_ssv2.config:SSV2Options",
        axes="video",
        where="case",
        what=("class",),
        summary="Something-Something V2: 174 actions with objects that differ by motion",
        examples=(Example({"frames": 4, "size": 32}),),
    )
