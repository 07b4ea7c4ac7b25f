"""Synapse: the slices of BTCV that TransUNet is trained on."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    yield DatasetSpec(
        name="synapse",
        target="medvid_synapse.data:Synapse",
        config="medvid_synapse.config:SynapseOptions",
        layout="image",
        task="segmentation",
        sample="medvid_synapse.phantoms:generate",
        sample_config="medvid_synapse.config:SynapsePhantomOptions",
        summary="Axial slices of abdominal CT (BTCV), 8 organs, scored on whole volumes: TransUNet's 18 and 12 cases",
        examples=(Example({"size": [32, 32]}, generate={"shape": [20, 16, 6], "spacing": [15.6, 15.6, 33.0]}),),
    )
