"""BTCV: abdominal CT with 13 organs."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    yield DatasetSpec(
        name="btcv",
        target="medvid_btcv.data:BTCV",
        config="medvid_btcv.config:BTCVOptions",
        layout="volume",
        task="segmentation",
        sample="medvid_btcv.phantoms:generate",
        sample_config="medvid_btcv.config:PhantomOptions",
        summary="Multi-atlas labelling beyond the cranial vault: abdominal CT, 13 organs (Synapse syn3193805)",
        examples=(
            Example(
                {"patch": {"size": [16, 16, 16], "per_case": 2}, "spacing": [4.0, 4.0, 5.0]},
                generate={"train": 2, "validation": 1, "shape": [40, 32, 20], "spacing": [7.8, 7.8, 10.0]},
            ),
        ),
    )
