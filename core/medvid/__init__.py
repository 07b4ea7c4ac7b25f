"""medvid: a plugin-based experimentation platform for medical imaging and video models.

From Python: ``medvid.run("unetr_btcv", {"train.steps": 100})`` and ``medvid.load_run(folder)``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medvid.runs.api import Run, extend, load_run, resume, run

__all__ = ["Run", "extend", "load_run", "resume", "run"]


def __getattr__(name: str) -> object:
    # Imported on use: they need torch, which the command line and light plugin modules must not pay for.
    if name in __all__:
        from medvid.runs import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
