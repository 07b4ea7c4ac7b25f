"""Heads for any backbone."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, Example, HeadSpec, hookimpl


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the heads `pixel`, `classification`, `regression`, `probe`, `frames` and `sequence`."""
    yield HeadSpec(
        name="pixel",
        target="medvid_heads.pixel:PixelHead",
        config="medvid_heads.config:PixelHeadOptions",
        summary="1x1 convolution of the finest map, 2D or 3D",
        where="voxel",
        what=("class", "labels", "value"),
        needs=("maps",),
    )
    yield HeadSpec(
        name="classification",
        target="medvid_heads.classification:LinearClassifier",
        config="medvid_heads.config:LinearClassifierOptions",
        summary="linear classifier of the embedding, or of the pooled coarsest map: one class, or several labels",
        where="case",
        what=("class", "labels"),
        needs=("embedding", "maps"),
        examples=(
            Example(),
            Example({"hidden_dim": 8, "dropout": 0.1, "mix": {"mixup": 0.8, "cutmix": 1.0}}),
            Example(
                {"mix": {"mixup": 0.8}, "loss": {"name": "ce", "label_smoothing": 0.1, "class_weights": [1, 2, 5]}}
            ),
        ),
    )
    yield HeadSpec(
        name="regression",
        target="medvid_heads.regression:LinearRegression",
        config="medvid_heads.config:LinearRegressionOptions",
        summary="linear regression on the embedding, or on the pooled coarsest map: values in their units",
        where="case",
        what=("value",),
        needs=("embedding", "maps"),
        examples=(Example(), Example({"hidden_dim": 8, "dropout": 0.1})),
    )
    yield HeadSpec(
        name="probe",
        target="medvid_heads.probe:probe_head",
        config="medvid_heads.config:ProbeOptions",
        summary="probe of a frozen backbone: attentive pooling as V-JEPA's, or linear; a class, labels or values",
        where="case",
        what=("class", "labels", "value"),
        needs=("maps",),
        paper="Bardes et al., V-JEPA (TMLR 2024)",
        examples=(
            Example(),
            Example({"pooling": "linear"}),
            Example({"num_heads": 2, "num_queries": 2, "depth": 2}),
        ),
    )
    yield HeadSpec(
        name="frames",
        target="medvid_heads.frames:frame_head",
        config="medvid_heads.config:FramesOptions",
        summary="linear layer on each frame of a video or slice of a volume: one class, several labels, or values",
        where="frame",
        what=("class", "labels", "value"),
        needs=("maps",),
        axes=("volume", "video"),
        examples=(Example(), Example({"hidden_dim": 8, "dropout": 0.1})),
    )
    yield HeadSpec(
        name="sequence",
        target="medvid_heads.sequence:sequence_head",
        config="medvid_heads.config:SequenceOptions",
        summary="a model of time, TCN or transformer, over what any backbone sees of each frame or slice",
        where="frame",
        what=("class", "labels", "value"),
        needs=("maps",),
        axes=("volume", "video"),
        examples=(
            Example({"temporal": {"name": "tcn", "channels": 8}}),
            Example(
                {
                    "temporal": {
                        "name": "transformer",
                        "num_heads": 2,
                        "hidden_size": 16,
                        "dim_feedforward": 32,
                        "causal": False,
                    }
                }
            ),
            Example(
                {
                    "temporal": {"name": "tcn", "stages": 3, "channels": 8, "causal": False},
                    "loss": {"name": "ce", "label_smoothing": 0.1},
                    "smoothing": 0.15,
                }
            ),
        ),
    )
