"""`platform data splits`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file, stage_progress
from medvid.cli.fold_table import fold_table
from medvid.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medvid.data.dataset import Dataset
    from medvid.plugin.host import Host


def splits(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help=f"{TASK_HELP} Its data set is divided.")],
    folds: Annotated[int | None, typer.Option(help="How many; default: 5, or those of --extend.", min=2)] = None,
    group: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Keep cases together in whose ids it finds the same.")
    ] = None,
    group_file: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Instead: a table of cases and their groups.")
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its column of groups, or one of the data set's own table.")
    ] = None,
    stratify: Annotated[
        Literal["none", "labels"], typer.Option(help="labels: like shares of each class, label or value in all folds.")
    ] = "none",
    seed: Annotated[int, typer.Option(help="Another one gives other folds.", min=0)] = 0,
    extend: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add new cases to these folds; no other case moves.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: splits_final.json in the data set's folder.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Write the folds of a cross-validation, as nnU-Net has them; dataset.fold then chooses one.

    The cases that are divided are those for training and validation, patients whole where the data set knows them.
    Without --stratify and groups the folds are nnU-Net's own.
    """
    from medvid.data.case_labels import labels_of
    from medvid.data.chosen_groups import groups_of
    from medvid.data.fold_files import SPLITS_FILE, read_folds, write_folds
    from medvid.data.fold_options import FoldsOptions
    from medvid.data.folds import cases_to_divide, extend_folds, make_folds
    from medvid.plugin.host import make_host

    dataset = open_dataset(task, overrides, make_host(plugins_file(context)))
    path = output or dataset.options.root / SPLITS_FILE
    if path.exists() and not (extend and extend.exists() and path.samefile(extend)):
        raise ConfigError(f"{path} exists", hint="move it away, or write another file: -o FILE")
    kept = read_folds(extend) if extend else None
    if kept and folds not in {None, len(kept)}:
        raise ConfigError(f"{extend} has {len(kept)} folds, not {folds}", hint="leave out --folds")
    options = FoldsOptions(
        count=folds or 5, group=_group(group, group_file, group_column), stratify=stratify, seed=seed
    )
    cases = cases_to_divide(dataset)
    labels: dict[str, tuple[str, ...]] = {}
    with stage_progress() as progress:
        if stratify == "labels" or dataset.target_info.where != "voxel":  # reading all label maps can take long

            def advance(done: int, total: int) -> None:
                progress("reading annotations", done, total)

            labels = labels_of(dataset, cases, advance)
    made = extend_folds(kept, dataset, options, labels=labels) if kept else make_folds(dataset, options, labels=labels)
    write_folds(path, made)
    for line in fold_table([fold["val"] for fold in made], groups_of(dataset, cases, options), labels):
        typer.echo(line)
    typer.echo(f"{path}: {len(made)} folds of {len(cases)} cases; train on one: {_choice(path, dataset, bool(output))}")


def open_dataset(task: str, overrides: "Sequence[str] | None", host: "Host") -> "Dataset":
    """The data set of a task, if it is there.

    Raises:
        DataError: it is not.
    """
    from medvid.config.early import check_data
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task

    loaded = load_task(find_task(task), host, overrides=overrides or ())
    check_data(loaded)
    if not loaded.dataset.root.exists():
        raise DataError(
            "the data folder does not exist, so the task would run on its demo data",
            hint="set dataset.root to the folder of the data",
        )
    dataset: Dataset = host.build(loaded.dataset)
    return dataset


def _group(pattern: str | None, file: Path | None, column: str | None) -> Any:
    """What keeps cases together, as `FoldsOptions` has it."""
    if pattern is None:
        return {"file": file, "column": column} if file or column else None
    if file or column:
        raise ConfigError("--group is a pattern, --group-file and --group-column name a table", hint="leave one out")
    return pattern


def _choice(path: Path, dataset: "Dataset", is_named: bool) -> str:
    """How a run chooses the first fold."""
    from medvid.data.fold_files import SPLITS_FILE

    if not is_named or path.absolute() == (dataset.options.root / SPLITS_FILE).absolute():
        return "--set dataset.fold=0"
    return f"--set 'dataset.fold={{file: {path}, index: 0}}'"
