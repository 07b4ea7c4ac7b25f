"""Keeps secrets out of everything that leaves the run folder: parameters, tags, artifacts, messages, command lines."""

import os
import re
import shlex
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit, urlunsplit

from medvid.config.variables import with_references

HIDDEN = "***"

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


def redact(text: str) -> str:
    """Hide secrets: of the environment, in URLs, in well-known formats, and the value of ``password: ...`` and so on.

    The home folder, which often holds a person's name, becomes ``~``; medvid reads it so in task files.
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
    """Separate a URI from the user name and password in it, if any."""
    parts = urlsplit(uri)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return uri, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))
