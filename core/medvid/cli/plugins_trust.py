"""What `platform plugins add` shows of a distribution to be trusted: its own claims, and its hash."""

from collections.abc import Iterator, Sequence

from medvid.plugin.allowlist import AllowedPlugin
from medvid.plugin.installed import Installed, find_installed

LINKS = ("Home-page", "Project-URL", "Download-URL")
PEOPLE = ("Author", "Author-email", "Maintainer", "Maintainer-email")


def describe_trust(entries: Sequence[AllowedPlugin]) -> str:
    """A few lines on the distribution of these entries: origin, size, hash and entry points, all from its metadata."""
    installed = next(find_installed(name=entries[0].distribution))
    facts = [("distribution", f"{installed.name} {installed.version}"), *_origin(installed)]
    if installed.editable:
        facts.append(("files", "editable: not verified, every run that uses it is marked"))
    else:
        facts.append(("files", f"{len(list(installed.files))}, RECORD sha256 {installed.record_sha256}"))
    wanted = {entry.entry_point for entry in entries}
    facts += [
        ("entry point", f"{point.name} = {point.value}") for point in installed.entry_points if point.name in wanted
    ]
    lines = [f"{what:<13} {_plain(value)}" for what, value in facts]
    return "\n".join([*lines, "Every command will import it, with your permissions; the list is not a sandbox."])


def _origin(installed: Installed) -> Iterator[tuple[str, str]]:
    """The distribution's claims about itself, which nobody has checked."""
    for names, what in ((LINKS, "home page"), (PEOPLE, "by")):
        if said := [value for name in names for value in installed.headers.get_all(name, []) if value != "UNKNOWN"]:
            yield what, ", ".join(dict.fromkeys(" ".join(value.split()) for value in said))
        else:
            yield what, "it names none"
    if installed.source:
        yield "source", installed.source


def _plain(text: str) -> str:
    """Text of others without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)
