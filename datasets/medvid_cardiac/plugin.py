"""The heart: cardiac MRI of ACDC, echocardiography of CAMUS."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data sets `acdc` and `camus`, and the protocol `acdc`."""
    yield DatasetSpec(
        name="acdc",
        target="medvid_cardiac.data:ACDC",
        config="medvid_cardiac.config:ACDCOptions",
        axes="volume",
        where="voxel",
        what=("class",),
        demo="medvid_cardiac.hearts:generate",
        demo_config="medvid_cardiac.config:HeartOptions",
        summary="ACDC: cardiac MRI at end diastole and end systole, both ventricles and the myocardium, as published",
        paper="ACDC (Bernard et al., IEEE TMI 2018)",
        examples=(
            Example(
                {"patch": {"size": [16, 16, 8], "per_case": 2}, "spacing": [6.0, 6.0, 10.0]},
                generate={"train": 5, "test": 1, "shape": [24, 24, 5], "spacing": [6.0, 6.0, 10.0]},
            ),
        ),
    )
    yield DatasetSpec(
        name="camus",
        target="medvid_cardiac.echo_data:CAMUS",
        config="medvid_cardiac.echo_config:CAMUSOptions",
        axes="volume",
        where="voxel",
        what=("class",),
        demo="medvid_cardiac.echoes:generate",
        demo_config="medvid_cardiac.echo_config:EchoOptions",
        summary="CAMUS: echocardiography, apical two and four chamber views at ED and ES, as published",
        paper="CAMUS (Leclerc et al., IEEE TMI 2019)",
        examples=(
            Example(
                {"patch": {"size": [16, 16, 1], "per_case": 2}, "spacing": [4.0, 4.0, 1.0]},
                generate={"train": 3, "validation": 1, "test": 1, "shape": [40, 32]},
            ),
        ),
    )
    yield ProtocolSpec(
        name="acdc",
        target="medvid_cardiac.protocol:acdc_protocol",
        config="medvid_cardiac.config:ACDCProtocolOptions",
        summary="hearts by phase: Dice, Hausdorff distance, volumes, ejection fractions and mass, as in ACDC",
        paper="ACDC (Bernard et al., IEEE TMI 2018)",
        where=("voxel",),
        what=("class",),
        examples=(Example({"cavities": ["one"], "myocardium": "two"}), Example({"cavities": [], "myocardium": ""})),
    )
