"""Folders for output. Imports nothing heavy."""

from pathlib import Path

from medvid.errors import ConfigError

PICTURES = "pictures"
"""Folder of the pictures of predictions, apart from the predictions: the name of one may be that of another's."""


def check_output(folder: Path) -> None:
    """Refuse a folder that cannot be made, as it or one around it is a file.

    Raises:
        ConfigError: naming the file.
    """
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"the output {path} is a file; give a folder", hint="choose another one: -o FOLDER")
