"""A user's own volumes with answers of their own."""

from collections.abc import Iterable

from medvid.plugin import ComponentSpec, DatasetSpec, Example, hookimpl

_SMALL = {"size": [16, 16, 16], "augment": ["flip"]}


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the data set `volumes`."""
    yield DatasetSpec(
        name="volumes",
        target="medvid_volumes.data:Volumes",
        config="medvid_volumes.config:VolumesOptions",
        recognises="medvid_volumes.config:recognise",
        axes="volume",
        where="case",
        what=("class", "labels", "value"),
        demo="medvid_volumes.heads:generate",
        demo_config="medvid_volumes.config:HeadsOptions",
        summary="Your own volumes with a class, findings or numbers each: a folder per class, or a CSV file",
        examples=(
            Example({**_SMALL, "class_column": "sex"}, generate={"patients": 10, "size": [20, 22, 16]}),
            Example({**_SMALL, "label_columns": ["lesion"]}, generate={"patients": 10, "size": [20, 22, 16]}),
            Example({**_SMALL, "value_columns": {"age": "years"}}, generate={"patients": 10, "size": [20, 22, 16]}),
        ),
    )
