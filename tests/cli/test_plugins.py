import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

BACKBONE = """
from medvid.plugin import BackboneSpec, hookimpl

@hookimpl
def medvid_components():
    yield BackboneSpec(
        name="wavelet", target="no.such:Wavelet", config="medvid_unetr.config:UNETROptions", summary="a wavelet net",
        axes=("volume",), features=("maps",), paper="Nobody, Journal of Examples, 2024",
    )
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def section(text: str, kind: str) -> dict[str, str]:
    """What is said of each component of a kind."""
    lines = text.partition(f"\n{kind}\n")[2].partition("\n\n")[0].splitlines()
    return {name: rest.strip() for name, _, rest in (line.strip().partition(" ") for line in lines)}


def test_components_and_listeners_are_listed_by_kind_within_100_columns(platform: Any, third_party: Any) -> None:
    third_party.install("ext", BACKBONE.replace("a wavelet net", "a wavelet net " + "of many words " * 20))
    result = platform("plugins", "list", "--plugins", third_party.allow())
    assert result.code == 0
    assert result.out.startswith(f"built into medvid {version('medvid')}, unless another origin is named\n")
    assert section(result.out, "backbone")["wavelet"].startswith("a wavelet net of many words")
    assert section(result.out, "backbone")["wavelet"].endswith("...  [ext 1.0]")
    assert "[" not in section(result.out, "backbone")["unetr"]
    assert "btcv" in section(result.out, "dataset")
    assert {"console", "mlflow"} == set(section(result.out, "listener"))
    assert max(map(len, result.out.partition("\n\nplugin ")[0].splitlines())) <= 100


def test_what_is_not_loaded_is_listed_with_the_reason_or_the_way(platform: Any, third_party: Any) -> None:
    module = third_party.install("broken", "\n1 / 0")
    third_party.allow()
    third_party.install("fresh", "raise AssertionError('imported')")
    result = platform("plugins", "list", "--plugins", third_party.plugins_file)
    assert f"plugin broken of broken 1.0 is broken: ZeroDivisionError: division by zero ({module}:2)" in result.out
    assert "plugin fresh of fresh 1.0 is installed, not enabled: platform plugins add fresh" in result.out
    assert "broken" not in section(result.out, "listener")


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
        "editable": False,
        "components": [{"kind": "backbone", "name": "wavelet", "summary": "a wavelet net"}],
    } in content["plugins"]


def test_show_tells_all_about_a_component(platform: Any, third_party: Any) -> None:
    third_party.install("ext", BACKBONE)
    out = platform("plugins", "show", "wavelet", "--plugins", third_party.allow()).out
    for line in (
        "backbone wavelet",
        "  from: plugin ext of ext 1.0",
        "  paper: Nobody, Journal of Examples, 2024",
        "  axes: volume",
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


def test_show_tells_kinds_apart(platform: Any) -> None:
    assert platform("plugins", "show", "backbone", "unetr").out.startswith("backbone unetr\n")
    assert "there is no head 'unetr'" in platform("plugins", "show", "head", "unetr").err
    assert "the kinds are dataset, backbone, head" in platform("plugins", "show", "brain", "unetr").err


def test_show_refers_to_the_components_that_options_name(platform: Any) -> None:
    lines = platform("plugins", "show", "stam").out.splitlines()
    assert "    frame: backbone, by name (required)" in lines
    assert not any(line.startswith("    frame.") for line in lines)


def test_an_editable_plugin_is_marked(platform: Any, third_party: Any) -> None:
    third_party.install("ext", BACKBONE)
    (third_party.folder / "ext-1.0.dist-info" / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    file = third_party.allow()
    assert "[ext 1.0, editable]" in platform("plugins", "list", "--plugins", file).out
    found = json.loads(platform("plugins", "list", "--json", "--plugins", file).out)["plugins"]
    assert [plugin["name"] for plugin in found if plugin["editable"]] == ["ext"]
    assert "  verified: no: it is editable" in platform("plugins", "show", "ext", "--plugins", file).out.splitlines()


def test_fifty_distributions_are_listed_and_unlisted_ones_never_run(
    platform: Any, third_party: Any, tmp_path: Path
) -> None:
    faults = {"ext0": "1 / 0", "ext1": "import medvid_is_not_there", "ext2": "import sys; sys.exit(0)"}
    for number in range(50):
        name = f"ext{number}"
        third_party.install(name, faults.get(name) or BACKBONE.replace("wavelet", f"net{number}"))
    third_party.allow()
    third_party.install("evil", f"open({str(tmp_path / 'trace')!r}, 'w')")
    result = platform("plugins", "list", "--plugins", third_party.plugins_file)
    assert result.code == 0
    listed = section(result.out, "backbone")
    assert all(listed[f"net{number}"].endswith(f"[ext{number} 1.0]") for number in range(3, 50))
    for name, reason in (("ext0", "ZeroDivisionError"), ("ext1", "ModuleNotFoundError"), ("ext2", "SystemExit: 0")):
        assert f"plugin {name} of {name} 1.0 is broken: {reason}" in result.out
    assert not (tmp_path / "trace").exists()


def check(platform: Any, third_party: Any, task: Path, backbone: str) -> Any:
    overrides = ["--set", f"backbone.name={backbone}", "--set", "dataset.root=absent", "--set", "tracking={}"]
    return platform("check", task, *overrides, "--demo", "--plugins", third_party.plugins_file)


def test_two_plugins_of_one_component_are_both_named_and_stop_only_tasks_that_use_it(
    platform: Any, third_party: Any, task_file: Path
) -> None:
    third_party.install("ext-a", BACKBONE)
    third_party.install("ext-b", BACKBONE)
    third_party.allow()
    result = check(platform, third_party, task_file, "wavelet")
    assert result.code == 3
    assert "two plugins contribute a backbone named 'wavelet'" in result.err
    assert "ext-a 1.0 and by plugin ext-b of ext-b 1.0" in result.err
    assert "hint: platform plugins remove ext-a or platform plugins remove ext-b" in result.err
    assert platform("check", task_file, "--demo", "--plugins", third_party.plugins_file).code == 0
    listed = platform("plugins", "list", "--plugins", third_party.plugins_file).out
    assert "backbone 'wavelet' is also contributed by plugin ext-b of ext-b 1.0" in listed


def refuse_api(third_party: Any) -> None:
    info = third_party.folder / "ext-1.0.dist-info"
    (info / "entry_points.txt").write_text("[medvid.plugins.v9]\next = ext\n")


def refuse_requirement(third_party: Any) -> None:
    metadata = third_party.folder / "ext-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: medvid>=99\n")


def refuse_file(third_party: Any) -> None:
    (third_party.folder / "ext.py").write_text("raise AssertionError('imported')\n")


def refuse_version(third_party: Any) -> None:
    file = third_party.plugins_file
    file.write_text(file.read_text().replace('"==1.0"', '">=2"'))


def refuse_record(third_party: Any) -> None:
    record = third_party.folder / "ext-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + "other.py,,\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (refuse_api, "it is built for version 9 of the plugin API, this medvid has version 1; install a release"),
        (refuse_requirement, "it requires medvid >=99, this is "),
        (refuse_file, "ext.py is not as it was installed; reinstall ext"),
        (
            refuse_version,
            "version 1.0 is installed, but >=2 is allowed; to allow it as it is: platform plugins add ext",
        ),
        (refuse_record, "the hash of RECORD differs; to allow it as it is: platform plugins add ext"),
    ],
)
def test_a_plugin_that_is_not_what_was_allowed_is_refused_before_import(
    platform: Any, third_party: Any, task_file: Path, change: Any, reason: str
) -> None:
    third_party.install("ext", "raise AssertionError('imported')\n" + BACKBONE)
    third_party.allow()
    change(third_party)
    result = check(platform, third_party, task_file, "wavelet")
    assert result.code == 3
    assert f"plugin ext of ext 1.0 is refused: {reason}" in result.err or reason in result.err
    assert "imported" not in result.err
    assert platform("check", task_file, "--demo", "--plugins", third_party.plugins_file).code == 0
