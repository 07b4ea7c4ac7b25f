"""Segmented images: a user's own, GlaS and MoNuSeg."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl

_EXAMPLES = (
    Example(
        {"size": [32, 32], "augment": ["horizontal_flip", "rotation"]},
        generate={"train": 3, "validation": 1, "test": 1, "size": [40, 48]},
    ),
)


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data sets."""
    yield DatasetSpec(
        name="image_masks",
        target="medvid_image_masks.data:ImageMasks",
        config="medvid_image_masks.config:ImageMasksOptions",
        recognises="medvid_image_masks.config:recognise",
        axes="image",
        where="voxel",
        what=("class",),
        demo="medvid_image_masks.tissue:generate_glands",
        demo_config="medvid_image_masks.config:TissueOptions",
        summary="Your own images and masks: PNG, TIFF, BMP, JPEG or GIF, masks binary, numbered, indexed or coloured",
        examples=_EXAMPLES,
    )
    yield DatasetSpec(
        name="glas",
        target="medvid_image_masks.data:GlaS",
        config="medvid_image_masks.config:GlaSOptions",
        axes="image",
        where="voxel",
        what=("class",),
        demo="medvid_image_masks.tissue:generate_glands",
        demo_config="medvid_image_masks.config:TissueOptions",
        summary="Glands in colon histology, MICCAI 2015 challenge: 85 training and 80 test images",
        examples=_EXAMPLES,
    )
    yield DatasetSpec(
        name="monuseg",
        target="medvid_image_masks.data:MoNuSeg",
        config="medvid_image_masks.config:MoNuSegOptions",
        axes="image",
        where="voxel",
        what=("class",),
        demo="medvid_image_masks.tissue:generate_nuclei",
        demo_config="medvid_image_masks.config:TissueOptions",
        summary="Nuclei in histology of several organs, MICCAI 2018 challenge: 30 training and 14 test images",
        examples=_EXAMPLES,
    )
