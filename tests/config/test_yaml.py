import math
import time
from typing import Any

import pytest

from medvid.config.yaml import parse_file, parse_value, resolve_scalar
from medvid.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E3", 1000.0), (".5", 0.5), ("-2.", -2.0), ("+.5e1", 5.0), ("0x1F", 31), ("0o17", 15),
        ("012", 12), ("-7", -7), ("no", "no"), ("on", "on"), ("1:30", "1:30"), ("1_000", "1_000"), ("~", None),
        ("Null", None), ("TRUE", True), ("tRUE", "tRUE"), ("2024-01-01", "2024-01-01"), ("-.inf", -math.inf),
        ("e3", "e3"), ("1e", "1e"), (".", "."), ("0b1", "0b1"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert resolve_scalar(text) == value
    assert type(resolve_scalar(text)) is type(value)
    assert parse_file(f"key: {text}", "f").data == {"key": value}
    assert parse_file(f"key: '{text}'", "f").data == {"key": text}


def test_not_a_number_is_one() -> None:
    assert math.isnan(resolve_scalar(".nan"))


def test_every_key_and_item_has_its_place() -> None:
    document = parse_file("a: 1\nb:\n  c: [x, {d: 2}]\n", "t.yaml")
    assert document.data == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    assert document.places == {
        ("a",): "t.yaml:1:1",
        ("b",): "t.yaml:2:1",
        ("b", "c"): "t.yaml:3:3",
        ("b", "c", 0): "t.yaml:3:7",
        ("b", "c", 1): "t.yaml:3:10",
        ("b", "c", 1, "d"): "t.yaml:3:11",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1", "f:2:1: a tab"),
        ("a:\t1", "f:1:3: a tab"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document"),
        ("%YAML 1.1\n---\na: no", "f:2:1: directives"),
        ("", "f:1:1: should be a mapping"),
        ("# nothing", "f:1:1: should be a mapping"),
        ("- a", "f:1:1: should be a mapping"),
        ("a: [1", "f:1:6: invalid YAML"),
        ("a: b: c", "f:1:5: invalid YAML"),
        ("a: 'x", "f:1:6: invalid YAML"),
        ("a: 1\n b: 2", "f:2:3: invalid YAML"),
        ("a: \x00", "f: invalid YAML"),
        ("[" * 10_000, "nested more than 50 levels deep"),
        ("a: " + "{a: " * 10_000, "nested more than 50 levels deep"),
    ],
)
def test_what_is_no_task_file_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_file(text, "f")
    assert str(caught.value).startswith(message) or message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "path", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3", ("a",), "f:3:1", "given twice, first at f:1:1"),
        ("a: {b: 1, b: {c: 1}}", ("a", "b"), "f:1:11", "given twice, first at f:1:5"),
        ("a: !!python/object/apply:os.system [ls]", ("a",), "f:1:4", "tags are not supported"),
        ("a: !!str 1", ("a",), "f:1:4", "tags are not supported"),
        ("!!str a: 1", (), "f:1:1", "tags are not supported"),
        ("a: &x 1", ("a",), "f:1:4", "anchors and aliases"),
        ("a: *x", ("a",), "f:1:4", "anchors and aliases"),
        ("1: a", ("1",), "f:1:1", "keys are text"),
        ("null: a", ("None",), "f:1:1", "keys are text"),
        ("? [a, b]\n: 1", ("['a', 'b']",), "f:1:3", "keys are text"),
        ("a: ${NOT_SET_HERE}", ("a",), "f:1:4", "the environment variable NOT_SET_HERE is not set"),
        ("a: ${NOT-A-NAME}", ("a",), "f:1:4", "should be of the form"),
    ],
)
def test_what_a_task_file_must_not_have_is_reported(text: str, path: Any, place: str, message: str) -> None:
    (problem,) = parse_file(text, "f").problems
    assert (problem.path, problem.place) == (path, place)
    assert message in problem.message


def test_an_alias_bomb_is_defused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    began = time.process_time()
    assert parse_file("\n".join(lines), "f").problems
    assert time.process_time() - began < 2


def test_tabs_in_comments_are_nobodys_business() -> None:
    assert parse_file("a: 1 # \tone", "f").data == {"a": 1}


def test_variables_are_expanded_in_text_values_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET", "a: [b")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    lines = ["${SET}: 1", "a: ${SET}/${SET}", "b: ${UNSET:-x:-y}", "c: ${EMPTY:-z}", "d: '${EMPTY}'", "e: $${SET}"]
    document = parse_file("\n".join([*lines, "f: $SET", "g: ['${SET}']"]), "f")
    assert document.problems == []
    assert document.data == {
        "${SET}": 1, "a": "a: [b/a: [b", "b": "x:-y", "c": "z", "d": "", "e": "${SET}", "f": "$SET", "g": ["a: [b"],
    }  # fmt: skip


def test_an_unquoted_variable_in_a_flow_mapping_gets_a_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_file("a: {b: ${SET}, c: 1}", "f")
    assert '"${NAME}"' in caught.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("[1, 2]", [1, 2]),
        ("{name: poly}", {"name": "poly"}),
        ("", None),
        ("a b", "a b"),
        ("${A}", "${A}"),
    ],
)
def test_a_value_is_plain_yaml_without_the_environment(text: str, value: object) -> None:
    assert parse_value(text, "--set a") == value


@pytest.mark.parametrize("text", ["[1", "&a 1", "!!int 3", "%", "{a: 1, a: 2}"])
def test_a_value_that_is_no_yaml_names_the_override(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--set a: "):
        parse_value(text, "--set a")
