"""Images with answers of their own: a user's, and chest X-rays with findings."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl

_SMALL = {"size": [32, 32], "augment": ["horizontal_flip"]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data sets."""
    yield DatasetSpec(
        name="images",
        target="medvid_images.data:Images",
        config="medvid_images.config:ImagesOptions",
        recognises="medvid_images.config:recognise",
        axes="image",
        where="case",
        what=("class", "labels", "value"),
        demo="medvid_images.cells:generate",
        demo_config="medvid_images.config:CellsOptions",
        summary="Your own images with a class, findings or numbers each: a folder per class, or a CSV file",
        examples=(
            Example({**_SMALL, "class_column": "stain"}, generate={"patients": 5}),
            Example({**_SMALL, "label_columns": ["mitosis", "vacuole"]}, generate={"patients": 5}),
            Example({**_SMALL, "value_columns": {"cells": "per field"}}, generate={"patients": 5}),
        ),
    )
    yield DatasetSpec(
        name="nih_chestxray14",
        target="medvid_images.data:Images",
        config="medvid_images.xray_config:ChestXray14Options",
        axes="image",
        where="case",
        what=("labels",),
        demo="medvid_images.radiographs:generate",
        demo_config="medvid_images.xray_config:RadiographsOptions",
        summary="NIH ChestX-ray14: 112,120 chest X-rays with 14 findings, by the official split of patients",
        paper="ChestX-ray8 (Wang et al., CVPR 2017)",
        examples=(Example(_SMALL, generate={"patients": 12}),),
    )
    yield DatasetSpec(
        name="chexpert",
        target="medvid_images.data:Images",
        config="medvid_images.xray_config:CheXpertOptions",
        axes="image",
        where="case",
        what=("labels",),
        summary="CheXpert: 224,316 chest X-rays with 14 findings, some of them uncertain",
        paper="CheXpert (Irvin et al., AAAI 2019)",
        examples=(Example(_SMALL),),
    )
