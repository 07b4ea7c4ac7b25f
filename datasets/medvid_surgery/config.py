"""Options of the surgical data sets, and of the generated surgeries that are their demo data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options
from medvid.data.listing import by_name, check_folder
from medvid.data.tables.columns import Table
from medvid.data.tables.lists import Read, read_classes, read_findings
from medvid.data.videos.frames.annotation import CLASSES, Annotation, annotate, read_rows
from medvid.data.videos.frames.index import AnnotatedVideo, FramedIndex
from medvid.data.videos.frames.options import FramedVideoOptions
from medvid.data.videos.index import find_videos
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo
from medvid.sentences import listed

CHOLECYSTECTOMY = (
    *("Preparation", "CalotTriangleDissection", "ClippingCutting", "GallbladderDissection"),
    *("GallbladderPackaging", "CleaningCoagulation", "GallbladderRetraction"),
)
"""Phases of the removal of a gallbladder, in the order of Cholec80."""
HYSTERECTOMY = (
    *("Preparation", "Dividing Ligament and Peritoneum", "Dividing Uterine Vessels and Ligament"),
    *("Transecting the Vagina", "Specimen Removal", "Suturing", "Washing"),
)
"""Phases of a hysterectomy, in the order of AutoLaparo."""
TOOLS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
"""Instruments, in the order of Cholec80."""

Splits = Mapping[str, Sequence[str]]


def numbered(pattern: str, first: int, last: int) -> tuple[str, ...]:
    """Names with numbers of two digits."""
    return tuple(pattern.format(number) for number in range(first, last + 1))


class SurgeryOptions(FramedVideoOptions):
    """Base of the options of published data sets of surgeries, one patient each."""

    names: ClassVar[tuple[str, ...]] = CHOLECYSTECTOMY
    """The phases."""
    whole: bool = True
    """Scale whole frames to squares, as published, see `FramedVideoOptions`; false cuts squares out of them."""
    annotation_fps: PositiveFloat | None = 25.0
    """Rate at which annotations count frames, whatever the rate of the files, so that re-encoded videos can be used."""
    validation_fraction: FractionBelowOne = 0.0
    """Share of the training videos to hold out where the division names none for validation."""

    def published(self) -> Splits:
        """The videos of each split of the publication."""
        raise NotImplementedError

    def files(self) -> dict[str, tuple[Path, Path]]:
        """The file and the annotation of each video that there is."""
        raise NotImplementedError

    def index(self) -> FramedIndex:
        """The videos, see `FramedVideoOptions.index`."""
        check_folder(self.root)
        files = self.files()
        if bare := [str(path) for _, path in files.values() if not path.is_file()]:
            raise DataError(f"{len(bare)} annotations are missing: {listed(bare)}", hint="complete the copy")
        videos = {name: AnnotatedVideo(name, *paths) for name, paths in sorted(files.items())}
        named = self.published()
        splits = {split: tuple(name for name in names if name in videos) for split, names in named.items()}
        wanted = [name for names in named.values() for name in names]
        absent = [name for name in wanted if name not in videos]
        notes = []
        if absent:
            notes.append(
                f"{len(absent)} of {len(wanted)} videos are not in {self.root}, so figures are not those of the whole "
                f"data set: {listed(absent)}"
            )
        if other := [name for name in videos if name not in wanted]:
            notes.append(f"{len(other)} videos are in no split: {listed(other)}")
        return FramedIndex(videos, {split: names for split, names in splits.items() if names}, {}, tuple(notes))

    def annotation(self, video: AnnotatedVideo) -> Annotation:
        """Read the rows of a video, see `FramedVideoOptions.annotation`."""
        if video.annotation is None:
            raise DataError(f"{video.path} has no annotation")
        table = read_rows(video.annotation)
        return annotate(table, "Frame", None, self.read(table))

    def read(self, table: Table) -> Read:
        """How a row says its answer."""
        column = table.find(None, CLASSES, "root")
        if column is None:
            raise DataError(
                f"{table.path} has no column of phases; it has {listed(table.columns)}", hint="download it again"
            )
        return read_classes(column, self.ids())

    def ids(self) -> Mapping[str, int]:
        """The id that each word in a column of phases means."""
        return {name: number for number, name in enumerate(self.names)}

    def target_info(self) -> TargetInfo:
        """A phase per frame, see `DatasetOptions.target_info`."""
        return TargetInfo("frame", "class", self.names, has_unknown=True)


def videos_in(folder: Path) -> dict[str, Path]:
    """The videos in a folder by their names without ending.

    Raises:
        DataError: there are none.
    """
    check_folder(folder)
    paths = [Path(clip.path) for clip in find_videos([folder]).values()]
    named = ((path.name if path.is_dir() else path.stem, path) for path in paths)
    return by_name(named, "videos", "rename one of them")


class Cholec80Options(SurgeryOptions):
    """Cholec80 (Twinanda et al., IEEE TMI 2017): 80 removals of gallbladders, with seven phases and seven tools.

    `root` has videos/video01.mp4 ..., phase_annotations/video01-phase.txt and tool_annotations/video01-tool.txt. Phases
    are annotated on all frames, at 25 per second, tools on each 25th.
    """

    name: Literal["cholec80"] = "cholec80"
    what: Literal["phases", "tools"] = "phases"
    """A phase, or the tools that are seen, of each frame."""
    division: Literal["32/8/40", "40/40"] = "32/8/40"
    """Videos to train on, to validate on and to test on, by number: 1 to 32, 33 to 40 and 41 to 80; or 1 to 40 and 41
    to 80, as in the first publications."""

    def published(self) -> Splits:
        """See `SurgeryOptions.published`."""
        test = {"test": numbered("video{:02d}", 41, 80)}
        if self.division == "40/40":
            return {"train": numbered("video{:02d}", 1, 40), **test}
        train, validation = numbered("video{:02d}", 1, 32), numbered("video{:02d}", 33, 40)
        return {"train": train, "validation": validation, **test}

    def files(self) -> dict[str, tuple[Path, Path]]:
        """See `SurgeryOptions.files`."""
        kind = self.what.removesuffix("s")
        folder = self.root / f"{kind}_annotations"
        return {name: (path, folder / f"{name}-{kind}.txt") for name, path in videos_in(self.root / "videos").items()}

    def read(self, table: Table) -> Read:
        """See `SurgeryOptions.read`."""
        if self.what == "phases":
            return super().read(table)
        columns = [table.find(tool, (), "root") or tool for tool in TOOLS]
        return read_findings(columns, lambda _: "ignore", "ignore")

    def target_info(self) -> TargetInfo:
        """A phase or the tools per frame, see `DatasetOptions.target_info`."""
        if self.what == "tools":
            return TargetInfo("frame", "labels", TOOLS, has_unknown=True)
        return super().target_info()


class AutoLaparoOptions(SurgeryOptions):
    """AutoLaparo, task 1 (Wang et al., MICCAI 2022): 21 hysterectomies with seven phases, annotated once per second.

    `root` has videos/01.mp4 ... and labels/label_01.txt, in which frames and phases count from 1. Videos 1 to 10 are to
    train on, 11 to 14 to validate on, 15 to 21 to test on.
    """

    name: Literal["autolaparo"] = "autolaparo"
    annotation_fps: PositiveFloat | None = 1.0
    """Rate at which annotations count frames, whatever the rate of the files."""
    first_frame: Literal[0, 1] = 1
    names: ClassVar[tuple[str, ...]] = HYSTERECTOMY

    def published(self) -> Splits:
        """See `SurgeryOptions.published`."""
        parts = {"train": (1, 10), "validation": (11, 14), "test": (15, 21)}
        return {split: numbered("{:02d}", *ends) for split, ends in parts.items()}

    def files(self) -> dict[str, tuple[Path, Path]]:
        """See `SurgeryOptions.files`."""
        videos = videos_in(self.root / "videos")
        return {name: (path, self.root / "labels" / f"label_{name}.txt") for name, path in videos.items()}

    def ids(self) -> Mapping[str, int]:
        """Phases are numbers from 1."""
        return {str(number): number - 1 for number in range(1, len(self.names) + 1)}


class M2CAI16Options(SurgeryOptions):
    """M2CAI16-workflow (Stauder et al., 2016): 41 removals of gallbladders with eight phases, at 25 frames per second.

    `root` has train_dataset/workflow_video_01.mp4 to 27 and test_dataset/test_workflow_video_01.mp4 to 14, each beside
    a .txt of that name.
    """

    name: Literal["m2cai16"] = "m2cai16"
    validation_fraction: FractionBelowOne = 0.2
    """Share of the 27 training videos to hold out; 0 trains on all, as published."""
    names: ClassVar[tuple[str, ...]] = ("TrocarPlacement", *CHOLECYSTECTOMY)

    def published(self) -> Splits:
        """See `SurgeryOptions.published`."""
        return {
            "train": numbered("workflow_video_{:02d}", 1, 27),
            "test": numbered("test_workflow_video_{:02d}", 1, 14),
        }

    def files(self) -> dict[str, tuple[Path, Path]]:
        """See `SurgeryOptions.files`."""
        folders = [self.root / f"{split}_dataset" for split in ("train", "test")]
        found = [one for folder in folders if folder.is_dir() for one in videos_in(folder).items()]
        if not found:
            raise DataError(f"there is no train_dataset in {self.root}", hint="set dataset.root")
        return {name: (path, path.with_suffix(".txt")) for name, path in found}


class SurgeriesOptions(Options):
    """Generated surgeries in the layout of a data set, minutes long, with phases in order and tools that come and go.

    Two pairs of phases look alike: only what was seen before tells the dissection of Calot's triangle from that of the
    gallbladder, and packaging from retraction.
    """

    train: PositiveInt = 24
    """Training videos; likewise the others."""
    validation: PositiveInt = 6
    test: PositiveInt = 6
    size: tuple[PositiveInt, PositiveInt] = (36, 64)
    """Height and width in pixels, both even."""
    pace: PositiveFloat = 1.0
    """Factor on the length of the phases; at 1 a surgery lasts some 140 seconds."""
    fps: PositiveInt = 5
    """Frames per second of the files; annotations count as those of the data set do."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _even(self) -> Self:
        if any(side % 2 for side in self.size):
            raise ValueError(f"size is {list(self.size)}, both have to be even")
        return self
