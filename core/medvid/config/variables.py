"""Environment variables that hold secrets: their values are never written, only what they are called."""

import os
import re

SHORTEST = 8
"""Characters of a value from which on it can be told from other text."""

_SECRET = re.compile(
    r"(?:^|_)(?:TOKENS?|SECRETS?|PASS|PASSWORDS?|PASSWD|PASSPHRASE|PWD|CREDENTIALS?|CREDS?|AUTH|[A-Z]*KEYS?|PAT|PIN|DSN)"
    r"(?:_ID|_B64|_BASE64)?$|SECRET|PASSWORD|PASSPHRASE|(?:ACCESS|AUTH|API|BEARER)_?TOKEN",
    re.IGNORECASE,
)
_NONE = {"PWD", "OLDPWD"}


def is_secret_variable(name: str) -> bool:
    """Whether a variable of this name holds a secret: ``WANDB_API_KEY`` does, ``BTCV_ROOT`` does not."""
    return name not in _NONE and bool(_SECRET.search(name))


def with_references(text: str) -> str:
    """The text with ``${NAME}`` in the place of the values of variables that hold secrets, as far as they are set."""
    found = [(value, name) for name, value in os.environ.items() if len(value) >= SHORTEST and is_secret_variable(name)]
    for value, name in sorted(found, key=lambda pair: -len(pair[0])):
        text = text.replace(value, f"${{{name}}}")
    return text
