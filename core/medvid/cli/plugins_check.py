"""`platform plugins check`."""

from collections import Counter
from typing import Annotated

import typer

from medvid.cli.common import plugins_file
from medvid.errors import PluginError


def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a component, a plugin or a distribution.")],
) -> None:
    """Run the conformance kit on a plugin's components: shapes, gradients, seeds, precisions and more."""
    from medvid.plugin.host import make_host
    from medvid.testing import check_component, find_components

    host = make_host(plugins_file(context))
    outcomes: Counter[str] = Counter()
    for spec in find_components(host, name):
        typer.echo(f"{spec.kind} {spec.name}")
        for result in check_component(host, spec):
            outcomes[result.outcome] += 1
            typer.echo(f"  {result.check:<22}  {result.outcome:<14}  {result.seconds:6.1f} s  {result.reason}".rstrip())
    typer.echo(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    if failed := outcomes["failed"]:
        raise PluginError(
            f"{failed} of {outcomes.total()} checks of {name} failed",
            hint="fix it, or list the check, with a reason, in the spec's `exceptions`",
        )
