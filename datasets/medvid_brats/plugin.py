"""Tumours of the brain: BraTS."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl

_SMALL = {"cases": 5, "shape": [24, 24, 20], "spacing": [8.0, 8.0, 8.0]}
_PATCH = {"size": [16, 16, 16], "per_case": 2}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set `brats`."""
    yield DatasetSpec(
        name="brats",
        target="medvid_brats.data:Brats",
        config="medvid_brats.config:BratsOptions",
        axes="volume",
        where="voxel",
        what=("class", "labels"),
        demo="medvid_brats.heads:generate",
        demo_config="medvid_brats.config:HeadOptions",
        summary="BraTS: brain tumours in four modalities of MRI, as regions or classes, as published in 2017 and later",
        paper="BraTS (Menze et al., IEEE TMI 2015)",
        examples=(
            Example({"patch": _PATCH}, generate=_SMALL),
            Example(
                {"patch": _PATCH, "target": "classes", "modalities": ["flair"]}, generate={**_SMALL, "layout": 2021}
            ),
        ),
    )
