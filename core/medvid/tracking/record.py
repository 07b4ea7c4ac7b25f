"""mlflow.json: where a run is tracked, kept in its folder so that a resumed run continues the same MLflow run."""

import json
import logging
import zlib
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from medvid.errors import DataError
from medvid.files import read_json, write_json

logger = logging.getLogger("medvid")

FILE = "mlflow.json"


@dataclass(frozen=True, slots=True)
class Record:
    """The MLflow run of a run folder.

    Args:
        tracking_uri: the store, without user name and password.
        experiment_id: MLflow's id of the experiment.
        run_id: MLflow's id of the run.
        folder: the run folder, absolute; it distinguishes a copy of the folder from the folder itself.
    """

    tracking_uri: str
    experiment_id: str
    run_id: str
    folder: str = ""


def read_record(folder: Path) -> Record | None:
    """The record in a run folder; None if the run is not tracked yet, or if the record was damaged, which is logged."""
    try:
        values = read_json(folder / FILE)
        if not values:
            return None
        checksum = values.pop("crc32", None)
        record = Record(**values)
    except (DataError, TypeError) as error:
        logger.warning("%s is damaged, so the run gets another MLflow run: %s", folder / FILE, error)
        return None
    if checksum not in {None, _checksum(record)}:
        logger.warning("%s is damaged, so the run gets another MLflow run", folder / FILE)
        return None
    return record


def is_copy(folder: Path, record: Record) -> bool:
    """Whether a run folder is a copy of another one that still exists at the place in the record."""
    if not record.folder or Path(record.folder) == folder.absolute():
        return False
    other = read_record(Path(record.folder))
    return other is not None and other.run_id == record.run_id and not Path(record.folder).samefile(folder)


def write_record(folder: Path, record: Record) -> None:
    """Write mlflow.json, complete or not at all, with a checksum, since a damaged address still looks like one."""
    write_json(folder / FILE, {**asdict(record), "crc32": _checksum(record)})


def _checksum(record: Record) -> int:
    return zlib.crc32(json.dumps(astuple(record)).encode())
