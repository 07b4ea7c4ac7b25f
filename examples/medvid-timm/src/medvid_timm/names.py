"""The names of timm's models, read from its source: importing timm takes seconds, which checking a task should not."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
_RENAMED = re.compile(r"^register_model_deprecations\(__name__, \{(.*?)^\}\)", re.MULTILINE | re.DOTALL)
_KEY = re.compile(r"^\s*['\"](\w+)['\"]:", re.MULTILINE)


@cache
def model_names() -> frozenset[str]:
    """All models that the installed timm can build, with old names; empty if its source cannot be read."""
    spec = find_spec("timm")  # finds the package without importing it
    folders = [Path(folder) / "models" for folder in (spec and spec.submodule_search_locations) or ()]
    names: set[str] = set()
    for path in (path for folder in folders for path in folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        names.update(_REGISTERED.findall(text))
        names.update(name for block in _RENAMED.findall(text) for name in _KEY.findall(block))
    return frozenset(names)


def check_name(model: str) -> None:
    """Refuse a model that timm does not have; without timm's source this shows only when the model is built.

    Args:
        model: name of an architecture, with or without a tag, e.g. ``vit_base_patch16_224.augreg_in21k``.

    Raises:
        ValueError: with the closest names.
    """
    architecture, known = model.partition(".")[0], model_names()
    if known and architecture not in known:
        close = get_close_matches(architecture, sorted(known), 3, cutoff=0.5)
        advice = f"did you mean {' or '.join(map(repr, close))}?" if close else "see timm.list_models()"
        raise ValueError(f"timm has no model {architecture!r}; {advice}")
