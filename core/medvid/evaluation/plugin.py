"""medvid's own protocol, and those of frames that belong to no data set."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, Example, ProtocolSpec, hookimpl

_THREE_PHASES = {"late": [1, 1, 1], "early": [1, 1, 1]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the protocol `medvid`, those of phases, that of tools, and that of several labels."""
    yield ProtocolSpec(
        name="medvid",
        target="medvid.evaluation.protocols:medvid_protocol",
        config="medvid.config.evaluation:MedvidProtocolOptions",
        summary="label maps on the grid of their files; cases, and frames, by the mean of their views",
        where=("case", "frame", "voxel"),
        what=("class", "labels", "value"),
    )
    yield ProtocolSpec(
        name="phases",
        target="medvid.evaluation.phase_protocols:phases_protocol",
        config="medvid.config.phases:PhasesProtocolOptions",
        summary="phases of each video: accuracy, precision, recall, Jaccard, F1, edit score and F1 of segments",
        paper="the field's procedure without a relaxed border; segments as MS-TCN (Abu Farha and Gall, CVPR 2019)",
        where=("frame",),
        examples=(Example({"monitor": "jaccard"}),),
    )
    yield ProtocolSpec(
        name="phases_relaxed",
        target="medvid.evaluation.phase_protocols:relaxed_phases_protocol",
        config="medvid.config.phases:RelaxedPhasesProtocolOptions",
        summary="the same, and with a border of 10 s in which a phase may be late or early",
        paper="the M2CAI 2016 challenge's relaxed figures, as its script's comments say",
        where=("frame",),
        axes=("video",),
        examples=(Example(_THREE_PHASES),),
    )
    yield ProtocolSpec(
        name="phases_relaxed_matlab",
        target="medvid.evaluation.phase_protocols:relaxed_phases_protocol",
        config="medvid.config.phases:RelaxedPhasesProtocolOptions",
        summary="the same, as the published script computes them, its fault included: for comparison alone",
        paper="the M2CAI 2016 challenge's script, as TMRNet, Trans-SVNet and Surgformer use it",
        where=("frame",),
        axes=("video",),
        examples=(Example(_THREE_PHASES),),
    )
    yield ProtocolSpec(
        name="tools",
        target="medvid.evaluation.protocols:tools_protocol",
        config="medvid.config.options:ProtocolOptions",
        summary="labels of frames, such as tools: the mean average precision over all frames chooses the weights",
        paper="EndoNet (Twinanda et al., TMI 2017)",
        where=("frame",),
        what=("labels",),
    )
    yield ProtocolSpec(
        name="multilabel",
        target="medvid.evaluation.multilabel_protocols:multilabel_protocol",
        config="medvid.config.multilabel:MultilabelProtocolOptions",
        summary="several labels per case: mAP of PySlowFast and mmaction2, MMIT and Charades; mean or maximum of views",
        where=("case",),
        what=("labels",),
        examples=(Example({"views": "maximum"}), Example({"views": "logits", "monitor": "mmit_map"})),
    )
