from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

TASK = """\
name: mine
dataset: {name: nifti, root: data, labels: [background, organ], patch: {size: [16, 16, 16]}}
backbone: {name: unetr, img_size: [16, 16, 16], hidden_size: 12, num_heads: 2, mlp_dim: 12, num_layers: 4, taps: [1, 2]}
head: {name: unetr_decoder}
train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-4}}
"""


@pytest.fixture(autouse=True)
def _task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BTCV_ROOT", raising=False)
    Path("task.yaml").write_text(TASK)


def write_cases(count: int) -> None:
    for folder, dtype in (("images", np.int16), ("labels", np.uint8)):
        Path("data", folder).mkdir(parents=True)
        for number in range(count):
            volume = nibabel.Nifti1Image(np.ones((18, 18, 18), dtype), np.eye(4))
            nibabel.save(volume, Path("data", folder, f"case{number}.nii.gz"))


def test_a_task_without_its_data_runs_on_the_sample_and_check_says_so(platform: Any, task_file: Path) -> None:
    code, out, _ = platform("check", task_file)
    config, plugins, parts, data, *_ = out.splitlines()
    assert code == 0
    assert config == f"config  ok  {task_file} is valid: task 'unetr_btcv'"
    assert "backbone unetr of medvid " in plugins
    assert "segmentation of 14 labels" in parts
    assert "the data folder does not exist: the generated sample is used" in data
    assert "as asked: the generated sample is used" in platform("check", task_file, "--sample").out


def test_real_data_is_indexed(platform: Any) -> None:
    write_cases(5)
    code, out, err = platform("check", "task.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "data    ok  data: 4 train, 1 validation cases"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gone.yaml"], 2, "error[CONFIG]: the task file gone.yaml cannot be read: No such file or directory"),
        (["task.yaml"], 4, "error[DATA]: dataset.root, the folder of 'nifti', does not exist: data"),
        (["task.yaml", "--sample"], 2, "error[CONFIG]: task.yaml:2:11: dataset.name: there is no sample of 'nifti'"),
        (["task.yaml", "--set", "backbone.name=unter"], 2, "did you mean 'unetr'?"),
        (["task.yaml", "--set", "train.stepz=1"], 2, "error[CONFIG]: --set train.stepz=1: train.stepz: unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(platform: Any, arguments: list[str], code: int, message: str) -> None:
    result = platform("check", *arguments)
    assert result.code == code
    assert message in result.err


def test_parts_that_do_not_fit_are_refused(platform: Any) -> None:
    write_cases(2)
    result = platform("check", "task.yaml", "--set", "backbone.img_size=[32, 32, 32]")
    assert result.code == 2
    assert "backbone 'unetr' cannot take these volumes: img_size is [32, 32, 32]" in result.err


def test_a_task_that_needs_an_unlisted_plugin_is_exit_3(platform: Any, third_party: Any) -> None:
    third_party.install("ext", "raise AssertionError('imported')")
    result = platform("check", "task.yaml", "--set", "backbone={name: wavelet}")
    assert result.code == 3
    assert "plugin ext of ext 1.0 is installed, not enabled: platform plugins add ext" in result.err


def test_an_unusable_allow_list_is_exit_3_for_those_who_need_more_than_ours(platform: Any, task_file: Path) -> None:
    assert platform("check", task_file, "--plugins", "gone.toml").code == 0
    result = platform("check", "task.yaml", "--set", "backbone={name: wavelet}", "--plugins", "gone.toml")
    assert result.code == 3
    assert "only builtin plugins are loaded: gone.toml cannot be read" in result.err
