"""The launchers that medvid ships."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import ComponentSpec, LauncherSpec


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute `local` and `slurm`."""
    return (
        LauncherSpec(
            name="local",
            target="medvid.studies.launchers.local:Local",
            config="medvid.studies.launcher_options:LocalOptions",
            summary="processes of this machine, some at a time",
        ),
        LauncherSpec(
            name="slurm",
            target="medvid.studies.launchers.slurm:Slurm",
            config="medvid.studies.launcher_options:SlurmOptions",
            summary="one job array of SLURM",
        ),
    )
