"""`platform schema`."""

from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import plugins_file
from medvid.errors import ConfigError


def schema(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write it to.")] = None,
) -> None:
    """Write the JSON Schema of task files, with the options of every enabled plugin, for editors."""
    import json

    from medvid.config.schema import task_schema
    from medvid.files import write_text
    from medvid.plugin.host import make_host

    text = json.dumps(task_schema(make_host(plugins_file(context))), indent=2)
    if output is None:
        typer.echo(text)
        return
    try:
        write_text(output, text + "\n")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", hint="give another file: -o FILE") from None
    typer.echo(f"written to {output}; begin a task file with: # yaml-language-server: $schema={output}")
