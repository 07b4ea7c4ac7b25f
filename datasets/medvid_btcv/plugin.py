"""BTCV: abdominal CT with 13 organs, and its slices as TransUNet is trained on them (Synapse)."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, TransformSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the two data sets, and the random change of slices."""
    yield DatasetSpec(
        name="btcv",
        target="medvid_btcv.data:BTCV",
        config="medvid_btcv.config:BTCVOptions",
        axes="volume",
        where="voxel",
        what=("class",),
        demo="medvid_btcv.phantoms:generate",
        demo_config="medvid_btcv.config:PhantomOptions",
        summary="Multi-atlas labelling beyond the cranial vault: abdominal CT, 13 organs (Synapse syn3193805)",
        examples=(
            Example(
                {"patch": {"size": [16, 16, 16], "per_case": 2}, "spacing": [4.0, 4.0, 5.0]},
                generate={"train": 2, "validation": 1, "shape": [40, 32, 20], "spacing": [7.8, 7.8, 10.0]},
            ),
        ),
    )
    yield DatasetSpec(
        name="synapse",
        target="medvid_btcv.synapse:Synapse",
        config="medvid_btcv.config:SynapseOptions",
        axes="image",
        where="voxel",
        what=("class",),
        demo="medvid_btcv.phantoms:generate_synapse",
        demo_config="medvid_btcv.config:SynapsePhantomOptions",
        summary="Axial slices of abdominal CT (BTCV), 8 organs, scored on whole volumes: TransUNet's 18 and 12 cases",
        examples=(Example({"size": [32, 32]}, generate={"shape": [20, 16, 6], "spacing": [15.6, 15.6, 33.0]}),),
    )
    yield TransformSpec(
        name="turn_or_rotate",
        target="medvid_btcv.transform:TurnOrRotate",
        config="medvid_btcv.config:TurnOrRotateOptions",
        summary="turn and mirror a slice, or else rotate it a little, as in TransUNet's code",
        axes=("image",),
    )
