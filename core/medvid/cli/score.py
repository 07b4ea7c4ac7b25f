"""`platform score`."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from medvid.data.listing import listed
from medvid.errors import ConfigError, DataError

_WRITTEN = {"cases.csv", "summary.json"}


def score(
    predictions: Annotated[Path, typer.Argument(help="Folder of masks, or a mask: .nii, .nii.gz, or images.")],
    truth: Annotated[Path, typer.Argument(help="Folder of the true masks of the same names, or a mask.")],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="NAMES",
            help="Names by id, the background first: background,liver. Default: those of a dataset.json in TRUTH or "
            "beside it; of images background,foreground.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option("--protocol", help="medvid or transunet: the figures' definitions.")
    ] = "medvid",
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="Of the surface Dice, in mm or pixels.")] = 2.0,
    mask_values: Annotated[
        str | None,
        typer.Option("--mask-values", metavar="KIND", help="How images are read: binary, nonzero or indexed."),
    ] = None,
    suffix: Annotated[
        str, typer.Option("--suffix", help="What the truth's names have beyond those of the cases, e.g. _anno.")
    ] = "",
    common: Annotated[
        bool, typer.Option("--common", help="Score the cases that both have, and name the others.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for cases.csv and summary.json.")] = Path(
        "scores"
    ),
) -> None:
    """Score masks against true masks, whoever made them, case by case on the grid of their files."""
    from medvid.evaluation.mask_pairs import pair_masks

    if output.exists() and not (output.is_dir() and {path.name for path in output.iterdir()} <= _WRITTEN):
        raise ConfigError(f"{output} holds other files", hint="give a new folder: -o FOLDER")
    if mask_values not in {None, "binary", "nonzero", "indexed"}:
        raise ConfigError(f"--mask-values {mask_values}: should be binary, nonzero or indexed")
    pairs, notes = pair_masks(predictions, truth, suffix=suffix, common=common)
    names, doubts = _label_names(labels, predictions, truth, is_volume=pairs[0].is_volume)

    from medvid.cli.common import stage_progress
    from medvid.evaluation.mask_scores import MaskScores, case_table, same_files
    from medvid.evaluation.report import as_rich, write_cases
    from medvid.files import make_folder, write_json
    from medvid.tracking.screen import make_console

    scores = MaskScores(names, protocol, tolerance, mask_values)
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
            "labels": names,
            "protocol": protocol,
            "metrics": summary.metrics,
            "notes": notes,
        },
    )
    console = make_console()
    for table in (case_table(rows), summary.table):
        console.print(as_rich(table))
    for note in notes:
        console.print(note)
    typer.echo(f"written to {output}")


def _label_names(
    given: str | None, predictions: Path, truth: Path, *, is_volume: bool
) -> tuple[tuple[str, ...], list[str]]:
    """The labels that are asked for, else those of a dataset.json, else those of a binary image.

    Returns:
        The names by id, and what has to be said of a dataset.json that has others than those that are asked for.

    Raises:
        ConfigError: they are not known, or no labels.
        DataError: predictions and truth come with different labels.
    """
    from medvid.data.description import describe, label_names, same_label

    folders = [folder for folder in (truth, truth.parent, predictions) if folder.is_dir()]
    if given is not None:
        try:
            names = label_names([name.strip() for name in given.split(",")])
        except ValueError as error:
            raise ConfigError(f"--labels {given}: {error}") from None
        found = {}
        for folder in folders:
            with suppress(DataError):
                found[folder] = describe(folder).labels
    else:
        found = {folder: describe(folder).labels for folder in folders}
        names = next((labels for labels in found.values() if labels), ())
    wanted = [*map(same_label, names)]
    others = [
        f"the dataset.json in {folder} has other labels, {listed(labels)}, than are scored: {listed(names)}"
        for folder, labels in found.items()
        if labels and [*map(same_label, labels)] != wanted
    ]
    if others and given is None:
        raise DataError(others[0], hint="correct one of them, or name the labels: --labels background,liver")
    if not names and is_volume:
        raise ConfigError(
            "the names of the labels are not known: there is no dataset.json",
            hint="name them in the order of their ids: --labels background,liver",
        )
    return names or ("background", "foreground"), others
