"""medvid's own protocol."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the protocol `medvid`."""
    yield ProtocolSpec(
        name="medvid",
        target="medvid.evaluation.protocols:medvid_protocol",
        config="medvid.config.evaluation:MedvidProtocolOptions",
        summary="label maps on the grid of their files; cases, and frames, by the mean of their views",
        where=("case", "frame", "voxel"),
        what=("class", "labels", "value"),
    )
