"""Charades: several actions per video."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, ProtocolSpec, hookimpl

_PAPER = "Hollywood in Homes (Sigurdsson et al., ECCV 2016)"


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set, and the protocol of its name."""
    yield DatasetSpec(
        name="charades",
        target="medvid_charades.data:Charades",
        config="medvid_charades.config:CharadesOptions",
        axes="video",
        where="case",
        what=("labels",),
        demo="medvid_charades.scenes:generate",
        demo_config="medvid_charades.config:ScenesOptions",
        summary="Charades: 9848 videos with any of 157 actions, in its own tables or PySlowFast's lists of frames",
        paper=_PAPER,
        examples=(
            Example({"frames": 4, "rate": 2, "size": 32}, generate={"train": 4, "test": 2, "seconds": [0.6, 0.8]}),
        ),
    )
    yield ProtocolSpec(
        name="charades",
        target="medvid_charades.protocol:charades_protocol",
        config="medvid.config.options:ProtocolOptions",
        summary="the largest probability of all views, as PySlowFast scores Charades; its mAP and that of the authors",
        paper=_PAPER,
        where=("case",),
        what=("labels",),
    )
