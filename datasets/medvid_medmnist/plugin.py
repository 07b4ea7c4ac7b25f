"""MedMNIST: twelve sets of small images, six of small volumes, and the official figures."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, ProtocolSpec, hookimpl

_PAPER = "MedMNIST v2 (Yang et al., Scientific Data 2023)"
_FLAGS = ("bloodmnist", "chestmnist")
_FEW = {"train": 4, "validation": 2, "test": 2}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data sets `medmnist2d` and `medmnist3d`, and the protocol `medmnist`."""
    yield DatasetSpec(
        name="medmnist2d",
        target="medvid_medmnist.data:MedMNIST",
        config="medvid_medmnist.config:MedMNIST2DOptions",
        axes="image",
        where="case",
        what=("class", "labels"),
        demo="medvid_medmnist.shapes:generate",
        demo_config="medvid_medmnist.config:ShapesOptions",
        summary="MedMNIST's twelve sets of images, 28 to 224 pixels on a side, from the .npz as published",
        paper=_PAPER,
        examples=tuple(
            Example(
                {"flag": flag, "augment": ["horizontal_flip"]}, generate={"flags": ["bloodmnist", "chestmnist"], **_FEW}
            )
            for flag in _FLAGS
        ),
    )
    yield DatasetSpec(
        name="medmnist3d",
        target="medvid_medmnist.data:MedMNIST",
        config="medvid_medmnist.config:MedMNIST3DOptions",
        axes="volume",
        where="case",
        what=("class",),
        demo="medvid_medmnist.shapes:generate",
        demo_config="medvid_medmnist.config:ShapesOptions",
        summary="MedMNIST's six sets of volumes, 28 or 64 voxels on a side, from the .npz as published",
        paper=_PAPER,
        examples=(
            Example(
                {"flag": "nodulemnist3d", "channels": 1, "size": [16, 16, 16], "augment": ["flip"]},
                generate={"flags": ["nodulemnist3d"], **_FEW},
            ),
        ),
    )
    yield ProtocolSpec(
        name="medmnist",
        target="medvid_medmnist.protocol:medmnist_protocol",
        config="medvid_medmnist.config:MedMNISTProtocolOptions",
        summary="AUC and ACC as MedMNIST's evaluator has them",
        paper=_PAPER,
        where=("case",),
        what=("class", "labels"),
        exceptions={"figures": "its AUC is not defined where a class has no case, as two cases of three classes have"},
    )
