"""Videos of surgeries: Cholec80, AutoLaparo and M2CAI16."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl

_SMALL = {"train": 2, "validation": 2, "test": 1, "size": [16, 24], "pace": 0.1}
_WINDOW = {"frames": 4, "size": 16, "short_side": [16, 16]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data sets."""
    yield DatasetSpec(
        name="cholec80",
        target="medvid_surgery.data:Surgeries",
        config="medvid_surgery.config:Cholec80Options",
        axes="video",
        where="frame",
        what=("class", "labels"),
        demo="medvid_surgery.surgeries:generate_cholec80",
        demo_config="medvid_surgery.config:SurgeriesOptions",
        summary="Cholec80: 80 removals of gallbladders, with a phase or the tools of each frame, as it unpacks",
        paper="Cholec80 (Twinanda et al., IEEE TMI 2017)",
        examples=(
            Example(_WINDOW, generate=_SMALL),
            Example({**_WINDOW, "what": "tools", "stride": 2, "answers": "last"}, generate=_SMALL),
        ),
    )
    yield DatasetSpec(
        name="autolaparo",
        target="medvid_surgery.data:Surgeries",
        config="medvid_surgery.config:AutoLaparoOptions",
        axes="video",
        where="frame",
        what=("class",),
        demo="medvid_surgery.surgeries:generate_autolaparo",
        demo_config="medvid_surgery.config:SurgeriesOptions",
        summary="AutoLaparo, task 1: 21 hysterectomies with the phase of each second, as it unpacks",
        paper="AutoLaparo (Wang et al., MICCAI 2022)",
        examples=(Example(_WINDOW, generate=_SMALL),),
    )
    yield DatasetSpec(
        name="m2cai16",
        target="medvid_surgery.data:Surgeries",
        config="medvid_surgery.config:M2CAI16Options",
        axes="video",
        where="frame",
        what=("class",),
        demo="medvid_surgery.surgeries:generate_m2cai16",
        demo_config="medvid_surgery.config:SurgeriesOptions",
        summary="M2CAI16-workflow: 41 removals of gallbladders with the phase of each frame, as it unpacks",
        paper="M2CAI16-workflow (Stauder et al., 2016)",
        examples=(Example(_WINDOW, generate=_SMALL),),
    )
