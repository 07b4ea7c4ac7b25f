"""How challenges score lesions: BraTS since 2023, and ISLES 2022."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, Example, ProtocolSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the protocols `brats` and `isles`."""
    yield ProtocolSpec(
        name="brats",
        target="medvid_lesions.brats:brats_protocol",
        config="medvid_lesions.config:BratsProtocolOptions",
        summary="regions of a tumour, whole and lesion by lesion, as BraTS scores since 2023",
        paper="Saluja et al., github.com/rachitsaluja/BraTS-2023-Metrics",
        where=("voxel",),
        what=("class", "labels"),
        examples=(Example({"regions": {"whole": [1, 2], "core": [2]}}), Example({})),
    )
    yield ProtocolSpec(
        name="isles",
        target="medvid_lesions.isles:isles_protocol",
        config="medvid_lesions.config:IslesProtocolOptions",
        summary="Dice, volume, and lesions found and missed, as ISLES 2022 scores",
        paper="Hernandez Petzsche et al., ISLES 2022, Scientific Data 2022",
        where=("voxel",),
        what=("class", "labels"),
    )
