"""A user's own segmented volumes."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set."""
    yield DatasetSpec(
        name="nifti",
        target="medvid_nifti.data:NIfTI",
        config="medvid_nifti.config:NIfTIOptions",
        recognises="medvid_nifti.config:recognise",
        axes="volume",
        where="voxel",
        what=("class", "labels", "value"),
        summary="Your own volumes with label maps, or maps of values: image/label folders, a datalist, nnU-Net raw",
        examples=(Example({"patch": {"size": [16, 16, 16], "per_case": 2}}),),
    )
