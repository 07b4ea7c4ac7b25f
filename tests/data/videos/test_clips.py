"""Clips are kept in little memory, and are what they were."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from medvid.data.videos.clips import Clip, Clips

PARTS = st.text(st.sampled_from("ab\u00e9e\u0301 ."), min_size=1, max_size=4).filter(lambda part: part.strip(". "))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
ROOTS = st.sampled_from(["data", "/data", "/"])


@given(
    ROOTS,
    st.dictionaries(PATHS, st.tuples(st.sampled_from(["data", "/data", "/", "/far"]), st.none() | st.integers(0, 9))),
)
def test_clips_are_a_dict_of_ids(root: str, placed: dict[str, tuple[str, int | None]]) -> None:
    expected = {case: Clip(f"{folder.rstrip('/')}/{case}", label) for case, (folder, label) in placed.items()}
    clips = Clips(Path(root), expected)
    assert dict(clips) == expected
    assert clips.labels() == {clip.label for clip in expected.values()}
    assert [clips.ids[place] for place in clips.places([*expected])] == [*expected]
    assert "another" not in clips


def test_the_file_of_a_clip_is_known_as_it_is_written() -> None:
    clips = Clips(Path("data"), {"a/\u00e9.mp4": Clip("data/a/e\u0301.mp4", 0), "far/b.mp4": Clip("/far/b.mp4", 1)})
    known = {
        name: clips.has_file(Path(name)) for name in ("data/a/e\u0301.mp4", "data/a/\u00e9.mp4", "/far/b.mp4", "b.mp4")
    }
    assert known == {"data/a/e\u0301.mp4": True, "data/a/\u00e9.mp4": False, "/far/b.mp4": True, "b.mp4": False}


def test_a_clip_that_is_put_again_is_the_new_one() -> None:
    clips = Clips(Path("data"), {"a": Clip("elsewhere", 1)})
    clips.put(clips.add("a"), "a", Clip("data/a", None))
    assert dict(clips) == {"a": Clip("data/a", None)}
