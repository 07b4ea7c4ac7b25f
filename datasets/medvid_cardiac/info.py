"""Info.cfg, the text file of `key: value` lines in a patient's folder."""

from pathlib import Path

from medvid.errors import DataError

NAME = "Info.cfg"


class Info:
    """What the file says.

    Args:
        path: the file.
        tells: what it says that nothing else does.

    Raises:
        DataError: it is missing, cannot be read, has a key twice, or a line that is not `key: value`.
    """

    def __init__(self, path: Path, tells: str = "which frames are ED and ES") -> None:
        self.path = path
        self.values: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(_read(path, tells).splitlines(), 1):
            key, colon, value = (part.strip() for part in line.partition(":"))
            if line.strip() and not colon:
                raise DataError(f"{path}:{number}: {line.strip()!r} is not `key: value`", hint=_AGAIN)
            if key in self.values:
                raise DataError(f"{path}:{number}: {key} is there twice", hint=_AGAIN)
            if key:
                self.values[key] = number, value

    def text(self, key: str) -> str:
        """The value of a key, empty if the file does not have it."""
        return self.values.get(key, (0, ""))[1]

    def frame(self, key: str) -> int:
        """The number of a frame, which count from 1.

        Raises:
            DataError: the file does not have it, or it is not the number of a frame.
        """
        if key not in self.values:
            raise DataError(f"{self.path} does not say which frame is {key}", hint=f"add a line such as `{key}: 1`")
        value, last = self.text(key), self.text("NbFrame")
        if not value.isdecimal() or not int(value) or (last.isdecimal() and int(value) > int(last)):
            raise DataError(
                f"{self.place(key)}: {value!r} is not the number of a frame"
                + (f", of which there are {last}" * bool(last)),
                hint="frames count from 1",
            )
        return int(value)

    def place(self, key: str) -> str:
        """Where a value stands, for messages: file:line:key."""
        return f"{self.path}:{self.values[key][0]}:{key}"


_AGAIN = "take the file from the download again"


def _read(path: Path, tells: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: nothing else says {tells}", hint=_AGAIN) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint=_AGAIN) from error
