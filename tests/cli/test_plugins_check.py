"""`platform plugins check`."""

from collections.abc import Callable
from typing import Any

PLUGIN = """
from medvid.plugin import Example, HeadSpec, hookimpl

@hookimpl
def medvid_components():
    yield HeadSpec(
        name="unsummed", target="medvid_heads.pixel:PixelHead", config="medvid_heads.config:PixelHeadOptions",
        where="voxel", needs=("maps",), axes=("image",), exceptions={exceptions},
    )
"""


def test_a_builtin_component_passes(platform: Callable[..., Any]) -> None:
    result = platform("plugins", "check", "pixel")
    assert result.code == 0
    assert result.out.startswith("head pixel\n  light_imports           ok ")
    assert result.out.endswith(" ok\n")


def test_a_plugin_that_fails_is_told_why(platform: Callable[..., Any], third_party: Any) -> None:
    third_party.install("unsummed", PLUGIN.replace("{exceptions}", "{}"))
    result = platform("plugins", "check", "unsummed", "--plugins", third_party.allow())
    assert result.code == 3
    assert "documented              failed " in result.out
    assert "the spec has no summary" in result.out
    assert "error[PLUGIN]: 1 of 16 checks of unsummed failed" in result.err


def test_a_declared_exception_is_no_failure(platform: Callable[..., Any], third_party: Any) -> None:
    third_party.install("unsummed", PLUGIN.replace("{exceptions}", '{"documented": "for want of words"}'))
    result = platform("plugins", "check", "unsummed", "--plugins", third_party.allow())
    assert result.code == 0
    assert "for want of words" in result.out
    assert result.out.splitlines()[-1] == "15 ok, 1 declared"


def test_an_unknown_name_is_a_usage_error(platform: Callable[..., Any]) -> None:
    result = platform("plugins", "check", "unter")
    assert result.code == 2
    assert "'unter'" in result.err
