"""Keeps secrets out of everything that leaves the run folder: parameters, tags, artifacts, messages, command lines."""

import os
import re
import shlex
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"
SHORTEST = 8
"""Length of a value from which it can be distinguished from other text."""

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:TOKENS?|SECRETS?|PASS|PASSWORDS?|PASSWD|PASSPHRASE|PWD|CREDENTIALS?|CREDS?|AUTH|[A-Z]*KEYS?|PAT|PIN|DSN)"
    r"(?:_ID|_B64|_BASE64)?$|SECRET|PASSWORD|PASSPHRASE|(?:ACCESS|AUTH|API|BEARER)_?TOKEN",
    re.IGNORECASE,
)
_NO_SECRETS = {"PWD", "OLDPWD"}
_NAME = r"(?:token|secrets?|passwords?|passwd|passphrase|credentials?|(?:api|access|private|secret)[_-]?keys?)"
_SECRET_NAME = re.compile(rf"(?:^|[._-]){_NAME}$", re.IGNORECASE)
# A secret's name with its value, as YAML, JSON and `--set key=value` write them.
_ASSIGNMENT = re.compile(
    rf"""(?P<name>\b(?:[\w.-]*[._-])?{_NAME}["']?[ \t]*[:=][ \t]*)"""
    r"""(?!(?:true|false|null)\b)(?:"[^"\n]*"|'[^'\n]*'|[^\s"'#,\]}][^\n,\]}]*)""",
    re.IGNORECASE,
)
_URL_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/?#]*@", re.IGNORECASE)
_KNOWN_FORMATS = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_\w{20,}|sk-[\w-]{20,}"
    r"|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)


def is_secret(name: str) -> bool:
    """Whether an option of this name holds a secret: ``tracking.tags.api_key`` does, ``num_tokens`` does not."""
    return bool(_SECRET_NAME.search(name))


def is_secret_variable(name: str) -> bool:
    """Whether a variable of this name holds a secret: ``WANDB_API_KEY`` does, ``BTCV_ROOT`` does not."""
    return name not in _NO_SECRETS and bool(_SECRET_VARIABLE.search(name))


def with_references(text: str) -> str:
    """The text with the values of set variables that hold secrets replaced by ``${NAME}``."""
    found = [(value, name) for name, value in os.environ.items() if len(value) >= SHORTEST and is_secret_variable(name)]
    for value, name in sorted(found, key=lambda pair: -len(pair[0])):
        text = text.replace(value, f"${{{name}}}")
    return text


def redact(text: str) -> str:
    """Hide secrets: from the environment, in URLs, in well-known formats, and in ``password: ...`` and the like.

    The home folder, which often holds a person's name, becomes ``~``, which medvid reads in task files.
    """
    text = with_references(text)
    home = os.environ.get("HOME", "/").rstrip("/")
    if home:
        text = text.replace(f"{home}/", "~/")
    text = _URL_USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _KNOWN_FORMATS.sub(HIDDEN, text)
    return _ASSIGNMENT.sub(rf"\g<name>{HIDDEN}", text)


def redact_command(arguments: Iterable[str]) -> str:
    """A command line as one would type it, without the secrets in ``--token X`` or ``--set a.token=X``."""
    shown, hide_next = [], False
    for argument in arguments:
        shown.append(HIDDEN if hide_next else redact(argument))
        hide_next = argument.startswith("-") and is_secret(argument)
    return shlex.join(shown)


def split_credentials(uri: str) -> tuple[str, tuple[str, str] | None]:
    """Split a URI into the URI and the user name and password in it, if any."""
    parts = urlsplit(uri)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return uri, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))
