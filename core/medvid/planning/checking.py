"""A draft read and checked as `platform run` would."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from medvid.config.checked import CheckedTask, check_task
from medvid.config.load import load_task
from medvid.errors import ConfigError
from medvid.planning.draft import Draft
from medvid.plugin.host import Host


def checked(draft: Draft, host: Host, overrides: Sequence[str] = ()) -> CheckedTask:
    """Check a draft, with what the user sets on top.

    Raises:
        ConfigError: a value is wrong, or the parts do not fit together.
        PluginError: a component is missing.
        DataError: the data set contradicts it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(draft.text(), encoding="utf-8")
        try:
            return check_task(load_task(path, host, overrides=overrides), host)
        except ConfigError as error:  # the file will be gone
            raise ConfigError(str(error).replace(str(path), "plan"), hint=error.hint) from None
