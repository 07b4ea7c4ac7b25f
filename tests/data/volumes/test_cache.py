import errno
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medvid.data.volumes import cache as module
from medvid.data.volumes.cache import VolumeCache
from medvid.data.volumes.content import fingerprint
from medvid.data.volumes.entry import is_intact
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.index import find_cases
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import VolumePreparation
from medvid.errors import DataError, ResourceError
from medvid.plugin.installed import version_behind

FORMATS = shipped_formats()
TWO, THREE = (LabelScheme(tuple(map(str, range(count)))) for count in (2, 3))
SETTINGS = VolumePreparation(channels=1, scheme=TWO, spacing=None, normalize="window", window=(0, 200), crop=True)


class Folder:
    """A data set of three cases and its cache; `update` prepares it and returns how many entries were there before."""

    def __init__(self, root: Path) -> None:
        self.root = root / "data"
        self.cache = VolumeCache(root / "cache", SETTINGS)

    @property
    def files(self) -> list[CaseFiles]:
        return list(find_cases(self.root, formats=FORMATS).cases.values())

    def update(self) -> int:
        calls: list[tuple[int, int]] = []
        self.cache.prepare({case: fingerprint(case, FORMATS) for case in self.files}, lambda *call: calls.append(call))
        assert calls[-1] == (3, 3)
        return calls[0][0]

    def entry(self, number: int = 0) -> Path:
        return self.cache.path(fingerprint(self.files[number], FORMATS))

    def read(self, number: int = 0):
        return self.cache.read(self.files[number], fingerprint(self.files[number], FORMATS))


@pytest.fixture
def folder(tmp_path: Path, write_case) -> Folder:
    for name in ("a", "b", "c"):
        write_case(tmp_path / "data", name)
    return Folder(tmp_path)


def test_entries_hold_what_was_prepared(folder: Folder) -> None:
    assert folder.update() == 0
    direct, cached = SETTINGS.prepare(folder.files[1]), folder.read(1)
    for name in ("image", "label"):
        np.testing.assert_array_equal(getattr(cached, name), getattr(direct, name))
        assert getattr(cached, name).dtype == getattr(direct, name).dtype
    for name in ("foreground", "background"):
        np.testing.assert_array_equal(getattr(cached, name).packed, getattr(direct, name).packed)
    assert (cached.grid, cached.notes) == (direct.grid, direct.notes)
    assert cached.geometry.as_json() == json.loads(json.dumps(direct.geometry.as_json()))


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("names", [("background", "cube"), ("background", "none", "cube")])
def test_entries_hold_where_structures_lie(folder: Folder, ignored: bool, names: tuple[str, ...]) -> None:
    scheme = LabelScheme(names, ignore=len(names) if ignored else None)
    folder.cache = replace(folder.cache, preparation=replace(SETTINGS, scheme=scheme))
    direct, cached = folder.cache.preparation.prepare(folder.files[1]).locations, folder.read(1).locations
    assert [*cached.structures] == [*direct.structures] == [names[1]]
    np.testing.assert_array_equal(cached.structures[names[1]], direct.structures[names[1]])
    assert (cached.annotated is not None) == ignored
    if ignored:
        np.testing.assert_array_equal(cached.annotated, direct.annotated)


def test_an_entry_without_structures_has_no_locations_of_them(folder: Folder, write) -> None:
    write(folder.root / "label" / "a.nii.gz", np.zeros((12, 10, 8), np.uint8))
    assert folder.read().locations.structures == {}


def test_entries_are_mapped_not_read(folder: Folder) -> None:
    prepared = folder.read()
    for array in (prepared.image, prepared.label, prepared.foreground.packed, prepared.background.packed):
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable


def test_only_a_changed_case_is_rebuilt(folder: Folder, write_case) -> None:
    folder.update()
    before = {number: folder.entry(number) for number in range(3)}
    times = {number: (before[number] / "meta.json").stat().st_mtime_ns for number in range(3)}
    assert folder.update() == 3
    write_case(folder.root, "b", seed=1)
    assert folder.update() == 2
    assert folder.entry(1) != before[1]
    for number in (0, 2):
        assert folder.entry(number) == before[number]
        assert (before[number] / "meta.json").stat().st_mtime_ns == times[number]


def test_a_changed_label_map_rebuilds_its_case(folder: Folder, write) -> None:
    folder.update()
    write(folder.root / "label" / "a.nii.gz", np.ones((12, 10, 8), np.uint8))
    assert folder.update() == 2


def test_the_name_and_the_time_of_a_file_do_not_matter(folder: Folder) -> None:
    folder.update()
    for kind in ("img", "label"):
        shutil.copyfile(folder.root / kind / "a.nii.gz", folder.root / kind / "z.nii.gz")
        (folder.root / kind / "a.nii.gz").unlink()
    assert folder.update() == 3


@pytest.mark.parametrize(
    "change",
    [
        {"window": (0, 300)},
        {"spacing": (2, 2, 2)},
        {"crop": False},
        {"scheme": THREE},
        {"scheme": replace(TWO, ignore=2)},
    ],
)
def test_a_changed_setting_is_another_entry(folder: Folder, change: dict) -> None:
    folder.update()
    old = folder.entry()
    folder.cache = replace(folder.cache, preparation=replace(SETTINGS, **change))
    assert folder.update() == 0
    assert folder.entry() != old
    assert old.is_dir()


def shorten(entry: Path) -> None:
    content = (entry / "image.npy").read_bytes()
    (entry / "image.npy").write_bytes(content[:-1])


def flip(entry: Path) -> None:
    content = bytearray((entry / "label.npy").read_bytes())
    content[-1] ^= 1
    (entry / "label.npy").write_bytes(content)


def pickle_in(entry: Path) -> None:
    np.save(entry / "foreground.npy", np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "damage",
    [
        shorten,
        pickle_in,
        lambda entry: (entry / "meta.json").unlink(),
        lambda entry: (entry / "meta.json").write_text('{"files": {}}'),
        lambda entry: (entry / "background.npy").unlink(),
    ],
)
def test_a_damaged_entry_is_rebuilt(folder: Folder, damage) -> None:
    folder.update()
    damage(folder.entry())
    assert folder.update() == 2
    np.testing.assert_array_equal(folder.read().image, SETTINGS.prepare(folder.files[0]).image)


def test_an_entry_that_vanishes_is_rebuilt_when_read(folder: Folder) -> None:
    folder.update()
    shutil.rmtree(folder.cache.folder)
    assert folder.read().image.shape[0] == 1


def test_many_builders_of_one_entry(folder: Folder) -> None:
    with ThreadPoolExecutor(6) as pool:
        images = [prepared.image for prepared in pool.map(lambda _: folder.read(), range(6))]
    for image in images:
        np.testing.assert_array_equal(image, images[0])
    assert sorted(path.name for path in folder.cache.folder.iterdir()) == ["CACHEDIR.TAG", "volumes"]


def test_an_interrupted_build_leaves_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.json, "dump", interrupt)  # the last thing that is written
    with pytest.raises(KeyboardInterrupt):
        folder.read()
    assert [path.name for path in folder.cache.folder.rglob("*") if path.is_file()] == ["CACHEDIR.TAG"]


def test_leftovers_of_killed_builders_are_removed_after_a_day(folder: Folder) -> None:
    for name in (".building-{}", "volumes/ab/.key-{}.draft", ".key-{}.draft"):
        for age in (0, 2):
            path = folder.cache.folder / name.format(age)
            path.mkdir(parents=True)
            os.utime(path, (time.time() - age * 86400,) * 2)
    folder.update()
    left = {path.name for path in folder.cache.folder.rglob(".*") if path.is_dir()}
    assert left == {".building-0", ".key-0.draft"}


def test_a_full_disk_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(ResourceError, match=r"cannot write .*cache/volumes/.*: no space left") as caught:
        folder.read()
    assert "platform cache prune" in caught.value.hint


def test_a_place_where_no_cache_can_be_is_named(folder: Folder) -> None:
    (folder.root / "file").touch()
    files = folder.files
    for place in (folder.root / "file", folder.root / "file" / "cache"):
        folder.cache = replace(folder.cache, folder=place)
        with pytest.raises(ResourceError, match=rf"cannot write {place}: a file is in the way"):
            folder.cache.prepare({files[0]: fingerprint(files[0], FORMATS)}, lambda *_: None)


def test_the_cache_is_its_users_only(folder: Folder) -> None:
    folder.update()
    assert folder.cache.folder.stat().st_mode & 0o777 == 0o700


def test_one_bad_case_keeps_its_own_error(folder: Folder) -> None:
    (folder.root / "img" / "b.nii.gz").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"^case b: .*b\.nii\.gz is an HTML page") as caught:
        folder.update()
    assert "again" in caught.value.hint


def test_bad_cases_are_told_together_and_good_ones_are_kept(folder: Folder) -> None:
    for name in ("a", "c"):
        (folder.root / "img" / f"{name}.nii.gz").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"2 cases cannot be used:\n  case a: .*\n  case c: "):
        folder.update()
    assert folder.entry(1).is_dir()


def test_processes_prepare_the_same_and_report_errors_alike(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PARALLEL_BYTES", 0)
    monkeypatch.setattr(module, "PROCESS_BYTES", 1)
    (folder.root / "img" / "c.nii.gz").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(DataError, match=r"^case c: .*c\.nii\.gz is a Git LFS pointer") as caught:
        folder.update()
    assert caught.value.hint
    assert folder.entry(0).is_dir()
    np.testing.assert_array_equal(folder.read(0).image, SETTINGS.prepare(folder.files[0]).image)


def test_another_version_of_a_plugin_makes_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(version: str) -> None:
        info = tmp_path / f"foreign_format-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: foreign-format\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[medvid.plugins]\nforeign = foreign_format.plugin\n")

    monkeypatch.syspath_prepend(tmp_path)
    for version in ("1.0", "1.1"):
        install(version)
        version_behind.cache_clear()
        assert version_behind("foreign_format") == version
        shutil.rmtree(tmp_path / f"foreign_format-{version}.dist-info")
    version_behind.cache_clear()
    for package in ("medvid", "medvid_dicom", "foreign_format"):
        assert version_behind(package) == ""


def test_damage_that_leaves_sizes_alone_is_noticed_by_whoever_reads_the_entry_first(folder: Folder) -> None:
    folder.update()
    flip(folder.entry())
    assert folder.update() == 3, "a start does not read what is prepared"
    np.testing.assert_array_equal(folder.read().label, SETTINGS.prepare(folder.files[0]).label)


def test_an_entry_is_compared_with_its_checksums_once_in_a_process(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.update()
    compared: list[Path] = []
    monkeypatch.setattr(module, "is_intact", lambda path: bool(compared.append(path)) or is_intact(path))
    for _ in range(3):
        folder.read(0)
    folder.read(1)
    assert compared == [folder.entry(0), folder.entry(1)]


def test_damaged_entries_are_removed_on_request_and_others_are_not(folder: Folder) -> None:
    folder.update()
    flip(folder.entry())
    content = [fingerprint(files, FORMATS) for files in folder.files]
    assert [folder.cache.remove_damaged(one) for one in content] == [True, False, False]
    assert [folder.cache.path(one).exists() for one in content] == [False, True, True]
    assert not folder.cache.remove_damaged(content[0]), "there is none any more"


def test_the_voxels_to_draw_from_take_a_quarter_of_a_byte_each(folder: Folder, write_case) -> None:
    write_case(folder.root, "a", shape=(48, 40, 32))
    entry = folder.entry()
    voxels = folder.read().label.size
    assert sum((entry / f"{name}.npy").stat().st_size for name in ("foreground", "background")) < 0.3 * voxels
