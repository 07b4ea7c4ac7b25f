"""Which videos are annotated frame by frame, with which file, and how they are divided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.groups import Groups, groups_by
from medvid.data.splits import Splits, hold_out


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """A video of the index.

    Args:
        id: its name.
        path: its file.
        annotation: the file with its annotation; None where it has none.
    """

    id: str
    path: Path
    annotation: Path | None = None


@dataclass(frozen=True, slots=True)
class FramedIndex:
    """All videos.

    Args:
        videos: by id.
        splits: those that lists, folders or the publication name; empty where nothing does.
        patients: the patient of each video of whom one is known.
        notes: what is odd but not an error.
    """

    videos: Mapping[str, AnnotatedVideo]
    splits: Splits
    patients: Groups
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> tuple[str, ...]:
        """The videos that have an annotation."""
        return tuple(name for name, video in self.videos.items() if video.annotation)


def patients_in(videos: Sequence[str], pattern: str | None) -> Groups:
    """The patient of each video, as a pattern finds them in its name; without one, each video is its own.

    Raises:
        DataError: it finds none in a name.
    """
    return groups_by(videos, pattern) if pattern else {}


def hold_out_patients(videos: Sequence[str], patients: Groups, fraction: float, seed: int) -> Splits:
    """Hold out a share of the patients, or of the videos where no patients are known.

    Raises:
        DataError: there is only one.
    """
    owners = [*dict.fromkeys(patients.get(video, video) for video in videos)]
    chosen = {owner: split for split, held in hold_out(owners, fraction, seed).items() for owner in held}
    found: dict[str, list[str]] = {}
    for video in videos:
        found.setdefault(chosen[patients.get(video, video)], []).append(video)
    return {split: tuple(names) for split, names in found.items()}
