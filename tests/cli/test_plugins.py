import json
from pathlib import Path
from typing import Any

import pytest

BACKBONE = """
from medvid.plugin import BackboneSpec, hookimpl

@hookimpl
def medvid_components():
    yield BackboneSpec(
        name="wavelet", target="no.such:Wavelet", config="medvid_unetr.config:UNETROptions", summary="a wavelet net",
        layouts=("volume",), features=("maps",), paper="Nobody, Journal of Examples, 2024",
    )
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def row(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(f"{name} "))


def test_components_and_observers_are_listed_with_their_origin(platform: Any) -> None:
    result = platform("plugins", "list")
    assert result.code == 0
    assert row(result.out, "unetr")[1:3] == ["backbone", "medvid"]
    assert row(result.out, "btcv")[1] == "dataset"
    assert row(result.out, "mlflow")[1] == "observer"


def test_what_is_not_loaded_is_listed_with_the_reason_or_the_way(platform: Any, third_party: Any) -> None:
    module = third_party.install("broken", "\n1 / 0")
    third_party.allow()
    third_party.install("fresh", "raise AssertionError('imported')")
    result = platform("plugins", "list", "--plugins", third_party.plugins_file)
    assert f"plugin broken of broken 1.0 is broken: ZeroDivisionError: division by zero ({module}:2)" in result.out
    assert "plugin fresh of fresh 1.0 is installed, not enabled: platform plugins add fresh" in result.out
    assert "broken" in row(result.out, "broken")


def test_an_unusable_allow_list_is_told(platform: Any, tmp_path: Path) -> None:
    (tmp_path / "plugins.toml").write_text("schema = 3")
    result = platform("plugins", "list")
    assert result.code == 0
    assert f"only builtin plugins are loaded: {tmp_path / 'plugins.toml'}: schema" in result.out


def test_json_has_it_all_for_scripts(platform: Any, third_party: Any) -> None:
    third_party.install("ext", BACKBONE)
    content = json.loads(platform("plugins", "list", "--json", "--plugins", third_party.allow()).out)
    assert content["allow_list"] == str(third_party.plugins_file)
    assert {
        "name": "ext",
        "distribution": "ext",
        "version": "1.0",
        "status": "enabled",
        "reason": "",
        "components": [{"kind": "backbone", "name": "wavelet", "summary": "a wavelet net"}],
    } in content["plugins"]


def test_show_tells_all_about_a_component(platform: Any, third_party: Any) -> None:
    third_party.install("ext", BACKBONE)
    out = platform("plugins", "show", "wavelet", "--plugins", third_party.allow()).out
    for line in (
        "backbone wavelet",
        "  from: plugin ext of ext 1.0",
        "  paper: Nobody, Journal of Examples, 2024",
        "  layouts: volume",
        "    img_size: tuple[int, ...] (required)",
        "    patch_size: int = 16",
        "        Edge length of a patch.",
        "    proj_type: 'conv' | 'perceptron' = 'perceptron'",
        "    weights.path: Path (required)",
    ):
        assert line in out.splitlines()


def test_show_tells_all_about_a_plugin(platform: Any, third_party: Any) -> None:
    third_party.install("ext", BACKBONE)
    out = platform("plugins", "show", "ext", "--plugins", third_party.allow()).out
    assert out.splitlines() == [
        "plugin ext of ext 1.0", "  status: enabled", "  module: ext", "  components: backbone wavelet",
    ]  # fmt: skip
    assert platform("plugins", "show", "nothing").code == 2


def test_an_added_plugin_is_used_until_it_changes(platform: Any, third_party: Any) -> None:
    module = third_party.install("ext", BACKBONE)
    third_party.install("other", "")
    added = platform("plugins", "add", "ext")
    assert added.code == 0
    assert added.out.startswith("plugins.toml: plugin ext of ext==1.0, RECORD sha256 ")
    assert row(platform("plugins", "list").out, "wavelet")[-4] == "enabled"
    assert platform("plugins", "add", "other").code == 0
    assert row(platform("plugins", "list").out, "wavelet")[-4] == "enabled"

    module.write_text(BACKBONE + "# changed")
    refused = platform("plugins", "list").out
    assert "plugin ext of ext 1.0 is refused: ext.py is not as it was installed; reinstall ext" in refused
    assert platform("plugins", "add", "ext").code == 3


def test_add_knows_what_it_adds(platform: Any, third_party: Any, tmp_path: Path) -> None:
    assert platform("plugins", "add", "medvid").code == 2
    assert platform("plugins", "add", "unheard-of").code == 2
    for name in ("ext-a", "ext-b"):
        third_party.install(name, "")
        entry_points = third_party.folder / f"{name.replace('-', '_')}-1.0.dist-info" / "entry_points.txt"
        entry_points.write_text(entry_points.read_text().replace(f"{name} =", "same ="))
    result = platform("plugins", "add", "same")
    assert (result.code, result.err.splitlines()[-1]) == (2, "hint: name one: ext-a, ext-b")
    (tmp_path / "plugins.toml").write_text("schema = 3")
    assert platform("plugins", "add", "ext-a").code == 3
    assert (tmp_path / "plugins.toml").read_text() == "schema = 3"


def test_fifty_distributions_are_listed_fast_and_unlisted_ones_never_run(python: Any, third_party: Any) -> None:
    for number in range(50):
        third_party.install(f"ext{number}", "1 / 0" if number < 3 else "")
    third_party.allow()
    third_party.install("evil", "open('trace', 'w')")
    code = "import sys, time; from medvid.cli.main import main; code = main(sys.argv[1:]); print(time.process_time())"
    shown = [python(code, "plugins", "list", "--plugins", str(third_party.plugins_file)).out for _ in range(3)]
    assert shown[0].count("is broken: ZeroDivisionError") == 3
    assert min(float(text.splitlines()[-1]) for text in shown) < 0.6
    assert not Path("trace").exists()
