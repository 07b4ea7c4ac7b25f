"""Folders for output."""

from pathlib import Path

from medvid.errors import ConfigError

PICTURES = "pictures"
"""Folder of the pictures of predictions, separate from the predictions, whose file names could clash."""
PROBABILITIES = "probabilities"
"""Folder of the probabilities of voxels, likewise."""
PROBABILITY_STEPS = 255
"""A probability is stored as a byte: the number of steps of 1 / 255."""


def check_output(folder: Path) -> None:
    """Refuse a folder that cannot be made because it or a parent is a file.

    Raises:
        ConfigError: naming the file.
    """
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"the output {path} is a file, not a folder", hint="choose a folder: -o FOLDER")
