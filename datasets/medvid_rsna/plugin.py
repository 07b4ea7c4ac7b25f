"""CT of heads: the RSNA Intracranial Hemorrhage Detection challenge."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, ProtocolSpec, hookimpl

_PAPER = "RSNA Intracranial Hemorrhage (Flanders et al., Radiology: AI 2020)"


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set `rsna_hemorrhage` and the protocol of that name."""
    yield DatasetSpec(
        name="rsna_hemorrhage",
        target="medvid_rsna.data:RSNAHemorrhage",
        config="medvid_rsna.config:RSNAHemorrhageOptions",
        axes="volume",
        where="frame",
        what=("labels",),
        demo="medvid_rsna.bleeds:generate",
        demo_config="medvid_rsna.config:BleedsOptions",
        summary="RSNA haemorrhage challenge: CT of heads, five kinds of haemorrhage on each slice, as it unpacks",
        paper=_PAPER,
        examples=(
            Example(
                {"size": [16, 16, 4], "augment": [{"name": "flip", "axes": ["R"]}]},
                generate={"patients": 8, "size": 24, "slices": [3, 6]},
            ),
        ),
    )
    yield ProtocolSpec(
        name="rsna_hemorrhage",
        target="medvid_rsna.protocol:rsna_protocol",
        config="medvid_rsna.config:RSNAProtocolOptions",
        summary="the challenge's weighted log loss, in which any haemorrhage counts twice",
        paper=_PAPER,
        where=("frame", "case"),
        what=("labels",),
        examples=(Example({"weights": {"two": 2.0}}),),
    )
