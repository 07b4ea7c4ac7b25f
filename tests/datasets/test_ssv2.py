import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvid.errors import DataError
from medvid.plugin.specs import load_attribute
from medvid_ssv2.config import SSV2Options
from medvid_ssv2.data import SSV2
from medvid_ssv2.plugin import medvid_components

TEMPLATES = ["Holding [something]", "Pushing [something] from left to right"]


def record(video: int, label: int) -> dict[str, Any]:
    return {"id": str(video), "label": "of no use here", "template": TEMPLATES[label], "placeholders": ["a cup"]}


@pytest.fixture
def root(films: Any, tmp_path: Path) -> Path:
    (tmp_path / "labels").mkdir()
    labels = {template.replace("[", "").replace("]", ""): str(number) for number, template in enumerate(TEMPLATES)}
    write(tmp_path, "labels", labels)
    write(tmp_path, "train", [record(12, 1), record(7, 0)])
    write(tmp_path, "validation", [record(30, 1)])
    folder = tmp_path / "20bn-something-something-v2"
    films.write(folder / "12.webm", films.numbered(36), fps=12, codec="libvpx-vp9")
    films.write(folder / "7.mp4", films.numbered(24), fps=12)
    films.write(folder / "30.mp4", films.numbered(24), fps=12)
    return tmp_path


def write(root: Path, name: str, content: Any) -> None:
    (root / "labels" / f"{name}.json").write_text(json.dumps(content))


def ssv2(root: Path, **options: object) -> SSV2:
    return SSV2(SSV2Options.model_validate({"root": root, "frames": 4, "size": 32, **options}))


def test_the_spec_resolves() -> None:
    [spec] = medvid_components()
    assert (spec.name, spec.axes, spec.where, spec.what) == ("ssv2", "video", "case", ("class",))
    assert load_attribute(spec.target) is SSV2
    assert load_attribute(spec.config) is SSV2Options


def test_annotations_and_videos_are_found(root) -> None:
    data = ssv2(root)
    assert data.target_info.names == ("Holding something", "Pushing something from left to right")
    assert (data.cases("train"), data.cases("validation")) == (("12", "7"), ("30",))
    assert [data.open_case(case).target for case in ("12", "7", "30")] == [1, 0, 1]
    assert data.draw("12", 0).input.shape == (1, 3, 4, 32, 32)
    for path in (root / "labels").iterdir():
        path.rename(root / f"something-something-v2-{path.name}")
    assert ssv2(root).cases("train") == ("12", "7")


def test_clips_span_the_whole_video_and_are_never_mirrored(root) -> None:
    data = ssv2(root, mean=[0] * 3, std=[1] * 3, short_side=[32, 40])
    assert data.options.augment == ()
    starts, ends = [], []
    for seed in range(25):
        frames = data.draw("12", seed).input[0].permute(1, 2, 3, 0).numpy()
        tens = ((frames[:, 16, 0].mean(axis=1) - 25) / 20).round()  # on the left: the tens, 0 to 3
        assert tens.max() <= 3
        starts.append(tens[0])
        ends.append(tens[-1])
    assert set(starts) == {0.0}
    assert set(ends) <= {2.0, 3.0}
    assert np.mean(ends) > 2.5


def test_all_problems_are_listed(root) -> None:
    write(root, "train", [record(12, 1), {"id": "13", "template": "Eating [x]"}, {"id": "../x"}, record(12, 0)])
    write(root, "validation", [record(12, 1)])
    with pytest.raises(DataError) as caught:
        ssv2(root).cases("train")
    assert str(caught.value).splitlines() == [
        f"4 problems in the annotations of {root}:",
        "  train.json: video 13: 'eating x' is not among the labels",
        "  train.json: record 2 has the id '../x', which is not a number",
        "  train.json: video 12 has two labels",
        "  video 12 is in both train and validation: trained on and held out",
    ]


def test_missing_videos_and_annotations(root) -> None:
    write(root, "train", [record(12, 1), record(99, 0)])
    with pytest.raises(DataError, match=r"1 of 2 clips of train in .* are missing, empty or not files: 99"):
        ssv2(root).cases("train")
    assert ssv2(root, missing="drop").cases("train") == ("12",)
    with pytest.raises(DataError, match=r"the folder of the videos .* does not exist"):
        ssv2(root, videos="clips").cases("train")
    (root / "labels" / "validation.json").write_text("[1]")
    with pytest.raises(DataError, match=r"validation\.json is not a list of records"):
        ssv2(root).cases("train")
    (root / "labels" / "validation.json").unlink()
    with pytest.raises(DataError, match=r"there is no something-something-v2-validation\.json or validation\.json"):
        ssv2(root).cases("train")
