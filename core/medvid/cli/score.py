"""`platform score`."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from medvid.errors import ConfigError, DataError
from medvid.plugin.specs import What
from medvid.sentences import listed

if TYPE_CHECKING:
    from medvid.data.volumes.labels import LabelScheme
    from medvid.evaluation.protocols import LabelMapProtocol

_WRITTEN = {"cases.csv", "figures.csv", "summary.json", "videos.csv"}
_RESAMPLES = 200


def score(
    context: typer.Context,
    predictions: Annotated[
        Path, typer.Argument(help="Folder of masks, or a mask: volumes, or images. Or a CSV table.")
    ],
    truth: Annotated[
        Path, typer.Argument(help="Folder of the true masks of the same names, or a mask. Or a CSV table.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="NAMES",
            help="Names by id, the background first: background,liver. Default: from a dataset.json in TRUTH or beside "
            "it; for images background,foreground. Of tables: the classes in their order.",
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="The figures' definitions: medvid, transunet, brats, of tables phases or echonet, or another one of a "
            "plugin; with options as in a task, such as '{name: medvid, further: [volume, lesions]}'.",
        ),
    ] = "medvid",
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", min=0, help="Of the surface Dice, in mm or pixels; default: 2.")
    ] = None,
    mask_values: Annotated[
        str | None,
        typer.Option("--mask-values", metavar="KIND", help="How images are read: binary, nonzero or indexed."),
    ] = None,
    ignore: Annotated[
        int | None,
        typer.Option(
            "--ignore", metavar="VALUE", min=0, help="Value in true masks of what nobody annotated, e.g. 255."
        ),
    ] = None,
    suffix: Annotated[
        str, typer.Option("--suffix", help="What the truth's names add to the case names, e.g. _anno.")
    ] = "",
    common: Annotated[
        bool, typer.Option("--common", help="Score the cases in both folders, and name the others.")
    ] = False,
    what: Annotated[
        What | None,
        typer.Option("--what", help="Of tables: a class per case (default), any of several labels, or values."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAMES",
            help="Of the true table: the column of the class, by default by its usual name; those of labels or values, "
            "by default all that both tables have; or the one that lists labels (run; jump).",
        ),
    ] = None,
    resamples: Annotated[
        int | None,
        typer.Option("--resamples", min=0, help="Of tables: resamples of the patients for intervals; default: 200."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for cases.csv and summary.json.")] = Path(
        "scores"
    ),
) -> None:
    """Score masks against true masks from any source, case by case on the grid of their files; or answers in tables."""
    if output.exists() and not (output.is_dir() and {path.name for path in output.iterdir()} <= _WRITTEN):
        raise ConfigError(f"{output} holds other files", hint="give a new folder: -o FOLDER")
    of_masks = {"tolerance": tolerance, "mask-values": mask_values, "ignore": ignore, "suffix": suffix or None}
    if {predictions.suffix.lower(), truth.suffix.lower()} == {".csv"}:
        _refuse(of_masks, "masks, but both are tables")
        from medvid.cli.score_tables import Asked, score_asked_tables

        asked = Asked(what or "class", _names(columns), _names(labels), protocol)
        if labels and asked.what != "class":
            raise ConfigError("--labels is for masks, and for tables of classes", hint="--columns says which labels")
        count = _RESAMPLES if resamples is None else resamples
        score_asked_tables(context, predictions, truth, asked, output, common=common, resamples=count)
        return
    _refuse({"what": what, "columns": columns, "resamples": resamples}, "two CSV tables")
    from medvid.cli.common import plugins_file
    from medvid.cli.protocols import build_protocol, protocol_options
    from medvid.data.volumes.formats.choice import enabled_formats
    from medvid.evaluation.mask_pairs import pair_masks
    from medvid.plugin.host import make_host

    if mask_values not in {None, "binary", "nonzero", "indexed"}:
        raise ConfigError(f"--mask-values {mask_values}: should be binary, nonzero or indexed")
    host = make_host(plugins_file(context))
    formats = enabled_formats(host.build_all)
    pairs, notes = pair_masks(predictions, truth, formats, suffix=suffix, common=common)
    is_volume = pairs[0].is_volume
    scheme, doubts = _scheme(labels, predictions, truth, ignore=ignore if is_volume else None, is_volume=is_volume)

    from medvid.cli.common import stage_progress
    from medvid.evaluation.mask_scores import MaskScores, case_table, same_files
    from medvid.evaluation.report import as_rich, write_cases
    from medvid.files import make_folder, write_json
    from medvid.tracking.screen import make_console

    target = scheme.target_info()
    options = protocol_options(host, protocol, "voxel", target.what, tolerance)
    definitions = cast("LabelMapProtocol", build_protocol(host, options, target))
    scores = MaskScores(scheme, definitions, options.name, mask_values, None if is_volume else ignore, formats)
    with stage_progress() as progress:
        rows = scores.rows(pairs, lambda done, total: progress("score", done, total))
    summary = scores.summarise(rows)
    notes = [*summary.notes, *doubts, *notes, *([same] if (same := same_files(pairs)) else [])]
    make_folder(output)
    write_cases(rows, output / "cases.csv")
    write_json(
        output / "summary.json",
        {
            "predictions": str(predictions),
            "truth": str(truth),
            "cases": len(pairs),
            "labels": scheme.names,
            "protocol": options.name,
            "options": options.model_dump(mode="json", exclude={"name"}),
            "metrics": summary.metrics,
            "better": summary.better,
            "notes": notes,
        },
    )
    console = make_console()
    for table in (case_table(rows, definitions), summary.table):
        console.print(as_rich(table))
    for note in notes:
        console.print(note)
    typer.echo(f"written to {output}")


def _refuse(options: Mapping[str, object], what: str) -> None:
    """Refuse options that would have no effect, rather than ignore them."""
    if given := [f"--{name}" for name, value in options.items() if value is not None]:
        raise ConfigError(f"{listed(given)} {'are' if len(given) > 1 else 'is'} for {what}", hint="leave it out")


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _scheme(
    given: str | None, predictions: Path, truth: Path, *, ignore: int | None, is_volume: bool
) -> tuple["LabelScheme", list[str]]:
    """The labels that are asked for, else those of a dataset.json, else those of a binary image.

    Returns:
        What ids stand for, and a note on a dataset.json with other labels.

    Raises:
        ConfigError: they are unknown or invalid.
        DataError: predictions and truth come with different labels.
    """
    from medvid.data.volumes.description import are_alike, describe
    from medvid.data.volumes.labels import LabelScheme, read_scheme

    if ignore is not None and given is None:
        raise ConfigError(
            f"--ignore {ignore}: in volumes it goes with --labels; in a dataset.json it is the label named ignore"
        )
    folders = [folder for folder in (truth, truth.parent, predictions) if folder.is_dir()]
    scheme: LabelScheme | None
    if given is not None:
        try:
            scheme = read_scheme([name.strip() for name in given.split(",")], ignore)
        except ValueError as error:
            raise ConfigError(f"--labels {given}: {error}") from None
        found = {}
        for folder in folders:
            with suppress(DataError):
                found[folder] = describe(folder).labels
    else:
        found = {folder: describe(folder).labels for folder in folders}
        scheme = next((labels for labels in found.values() if labels), None)
    others = [
        f"the dataset.json in {folder} has other labels, {listed(labels.names)}, than are scored: "
        + listed(scheme.names)
        for folder, labels in found.items()
        if scheme and labels and not are_alike(labels, scheme)
    ]
    if others and given is None:
        raise DataError(others[0], hint="correct one of them, or name the labels: --labels background,liver")
    if scheme is None and is_volume:
        raise ConfigError(
            "the names of the labels are unknown: there is no dataset.json",
            hint="name them in the order of their ids: --labels background,liver",
        )
    return scheme or LabelScheme(("background", "foreground")), others
